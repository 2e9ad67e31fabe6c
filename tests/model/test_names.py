import eventsys.model


def test_every_name_in_the_table_of_contents_exists_once():
    names = eventsys.model.__all__
    assert len(set(names)) == len(names)
    assert all(hasattr(eventsys.model, name) for name in names)
