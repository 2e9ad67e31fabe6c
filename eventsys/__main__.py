"""`python -m eventsys` is the command `eventsys`."""

from eventsys.cli.app import main

if __name__ == "__main__":
    main()
