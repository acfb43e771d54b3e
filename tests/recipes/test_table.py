"""How a recipe's settings, those for the data and a user's own are laid over one another."""

from dataclasses import replace

import pytest

from zerosum.config.base import read_toml
from zerosum.config.gan import GanSettings
from zerosum.errors import UserError
from zerosum.recipes import RECIPES, Recipe, get

OWN = Recipe(
    config=GanSettings,
    build=None,
    summary="Of a recipe for large data, with other defaults for one small set.",
    source="",
    settings={"epochs": None, "images": 10**6, "width": 64},
    on={"digits": {"epochs": 8, "width": 16}, "photographs": {"images": 500}},
)
SMALL, MEDIUM, LARGE = "mnist", "cifar10", "folder/mnist"


def budget(data=LARGE, **values):
    config = OWN.configure({"data": data, **values})
    return config.epochs, config.images


class TestDefaults:
    def test_they_are_of_the_data_that_is_asked_for(self):
        assert OWN.configure({"data": LARGE}).width == 64
        assert OWN.configure({"data": SMALL}).width == OWN.configure({}).width == 16
        assert OWN.defaults(SMALL) == {"epochs": 8, "width": 16, "images": None}

    def test_what_the_user_says_counts_before_them(self):
        assert OWN.configure({"data": SMALL, "width": 5}).width == 5

    def test_epochs_are_a_budget_even_where_the_recipes_own_is_in_images(self):
        assert budget() == (None, 10**6)
        assert budget(epochs=3) == (3, None)
        assert budget(SMALL) == (8, None)
        assert budget(SMALL, epochs=3) == (3, None)

    def test_images_are_a_budget_wherever_it_is_given(self):
        assert budget(images=7) == (None, 7)
        assert budget(MEDIUM) == (None, 500)
        assert OWN.configure({"data": SMALL, "images": 7}).budget(40) == 7

    def test_both_at_once_are_refused(self):
        with pytest.raises(UserError, match="given twice, as --epochs 5 and --images 1000"):
            RECIPES["vanilla"].configure({"epochs": 5, "images": 1000})
        assert RECIPES["vanilla"].configure({"epochs": 5}, {"images": 1000}).budget(40) == 1000

    def test_epochs_are_a_budget_where_the_data_s_own_is_in_images(self):
        assert budget(MEDIUM, epochs=3) == (3, None)

    @pytest.mark.parametrize("values", [{"epochs": None}, {"epochs": None, "images": 7}], ids=str)
    def test_no_epochs_are_no_budget(self, values):
        assert budget(**values) == (None, values.get("images", 10**6))

    def test_data_that_a_file_names_counts_and_so_do_its_other_lines(self, tmp_path):
        (tmp_path / "my.toml").write_text(f'data = "{SMALL}"\nwidth = 5\n')
        values = read_toml(tmp_path / "my.toml")
        assert OWN.configure(values).width == 5
        assert budget(**values) == (8, None)
        assert budget(**{**values, "data": LARGE}) == (None, 10**6)  # as a flag overrules it

    def test_of_a_file_and_of_flags_the_flags_count(self):
        file = {"data": SMALL, "images": 500, "width": 5, "seed": 1}
        config = OWN.configure(file, {"epochs": 3, "width": 6})
        assert (config.epochs, config.images, config.width, config.seed) == (3, None, 6, 1)
        assert OWN.configure({"epochs": 3}, {"images": 500}).budget(40) == 500

    def test_epochs_are_a_budget_even_where_the_class_has_one_in_images(self):
        class InImages(GanSettings):
            epochs: int | None = None
            images: int | None = 500

        own = replace(OWN, config=InImages, settings={}, on={})
        assert own.configure({}).budget(40) == 500
        assert own.configure({"epochs": 3}).budget(40) == 120


@pytest.mark.parametrize("name", RECIPES)
class TestEveryRecipe:
    @pytest.mark.parametrize("data", ["mnist", "cifar10", "ring", "my-folder"])
    def test_its_defaults_are_valid(self, name, data):
        config = get(name).configure({"data": data})
        assert (config.epochs is None) != (config.images is None)

    def test_it_sets_nothing_that_its_settings_lack(self, name):
        recipe = get(name)
        for layer in (recipe.settings, *recipe.on.values()):
            assert layer.keys() <= recipe.config.model_fields.keys()


def test_recipes_mirror_photographs_and_no_digits():
    for recipe in RECIPES.values():
        if recipe.config is GanSettings:
            assert not recipe.configure({"data": "mnist"}).hflip
            assert recipe.configure({"data": "cifar10"}).hflip


def test_an_unknown_name_is_answered_with_the_closest():
    with pytest.raises(UserError, match=r"no recipe 'dcgna'\. Did you mean 'dcgan'"):
        get("dcgna")
    with pytest.raises(UserError, match=r"no setting 'widht'\. Did you mean 'width'"):
        get("dcgan").configure({"widht": 3})
