from zerosum.data.spec import POINT, DataSpec


def test_classes_and_the_channels_of_the_target_are_counted():
    spec = DataSpec(shape=(4, 8, 8), classes=("cat", "dog"), source_channels=1)
    assert (spec.num_classes, spec.target_channels, spec.are_points) == (2, 3, False)


def test_points_have_a_shape_that_no_image_has():
    assert DataSpec(shape=POINT).are_points
    assert not DataSpec(shape=(1, 1, 1)).are_points
    assert not DataSpec(shape=(2, 1, 2)).are_points
