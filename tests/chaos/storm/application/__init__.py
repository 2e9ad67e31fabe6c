"""The application in the storm; it is copied beside the data of a run, where its handlers are saved again and again."""
