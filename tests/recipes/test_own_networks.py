"""Networks of one's own: found, checked, trained, resumed, and what is said of mistakes."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits import credentials
from kaggle_digits.backend import start_keras
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import find, finding, loading, trust
from kaggle_digits.recipes.checking import check_network
from tests import product, untrained
from tests.own_network import TEXT

START = """
import keras
from keras import layers
from kaggle_digits.recipes import Recipe, Training


def network():
    {body}


RECIPE = Recipe(
    name="my-net", summary="", network=network,
    training=Training(optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=1),
)
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text, name="my_net.py"):
        (tmp_path / name).write_text(text)
        return f"./{name}"

    return write


def said(name):
    with pytest.raises(InputError) as error:
        find(name)
    return str(error.value)


def test_a_recipe_is_found_in_a_file(write, tmp_path):
    recipe = find(write(TEXT))
    assert recipe.name == "my-net"
    assert recipe.file == tmp_path / "my_net.py"
    assert recipe.training.schedule == "constant"


def test_a_recipe_is_found_in_a_module(write, monkeypatch, tmp_path):
    write(TEXT.replace("RECIPE =", "OTHER ="), "some_package_of_mine.py")
    monkeypatch.syspath_prepend(tmp_path)
    assert find("some_package_of_mine:OTHER").name == "my-net"
    write("from some_package_of_mine import *\n", "module_with_star.py")
    assert find("module_with_star:OTHER").name == "my-net"
    assert "No module named 'no_such_module'" in said("no_such_module:RECIPE")


def test_the_backend_is_chosen_before_a_module_may_import_keras(write, monkeypatch, tmp_path):
    seen = TEXT.replace('"residual, with a branch"', "os.environ['KERAS_BACKEND']")
    write(f"import os\n{seen}", "package_that_looks.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert find("package_that_looks:RECIPE").summary == "tensorflow"


def test_a_file_that_chooses_the_backend_imports_keras_itself(write, monkeypatch):
    monkeypatch.setattr(loading, "import_keras", lambda: pytest.fail("imported too early"))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    chosen = "import os\nos.environ['KERAS_BACKEND'] = 'tensorflow'\n"
    assert find(write(chosen + TEXT)).name == "my-net"


@pytest.mark.parametrize("line", ["import keras", "from tensorflow import keras"])
def test_keras_is_imported_before_a_file_that_does_so_unless_it_is_no_python(
    line, write, monkeypatch
):
    imported: list[int] = []
    monkeypatch.setattr(loading, "import_keras", lambda: imported.append(len(imported)))
    with pytest.raises(InputError, match="line 3: SyntaxError"):
        find(write(f"{line}\n\ndef f(:\n"))
    assert not imported
    with pytest.raises(InputError, match="RECIPE has the type dict"):
        find(write(f"{line}\nRECIPE = {{}}\n"))
    assert imported == [0]


def test_a_file_that_is_interrupted_can_be_loaded_again(write, monkeypatch):
    monkeypatch.setattr(loading, "interrupted", [1], raising=False)
    pop = "from kaggle_digits.recipes import loading\nif loading.interrupted:\n"
    name = write(f"{pop}    loading.interrupted.pop()\n    raise KeyboardInterrupt\n{TEXT}")
    with pytest.raises(KeyboardInterrupt):
        find(name)
    assert find(name).name == "my-net"


def test_a_recipe_is_found_by_its_entry_point(write, monkeypatch, tmp_path):
    write(TEXT, "module_with_entry_point.py")
    info = tmp_path / "my_recipes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-recipes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[kaggle_digits.recipes]\nmy-net = module_with_entry_point:RECIPE\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find("my-net").summary == "residual, with a branch"
    assert "Did you mean 'my-net'?" in said("my-nett")
    listed = product.call("recipes", cwd=tmp_path).stdout
    assert "From installed packages:\n  my-net  (module_with_entry_point:RECIPE)\n" in listed


def test_what_is_wrong_with_a_file_is_said_with_its_line(write):
    assert "no such file" in said("./none.py")
    assert "Did you mean the file my_net.py?" in [write("x = 1"), said("my_net")][1]
    assert "my_net.py, line 1: the file defines no RECIPE" in said(write("x = 1"))
    assert "line 2: RECIPE has the type dict, not Recipe" in said(write("\nRECIPE = {}"))
    assert "line 3: SyntaxError" in said(write("\n\ndef f(:\n"))
    assert "line 2: ZeroDivisionError: division by zero" in said(write("\n1 / 0\n"))
    wrong = TEXT + 'RECIPE = RECIPE.with_settings({"units": 3})\n'
    assert "received the setting 'units'. Expected a setting of Training" in said(write(wrong))
    wrong = "from functools import partial\n" + TEXT.replace(
        "network=network", "network=partial(network, units=3)"
    )
    assert "network does not take these arguments: got an unexpected keyword" in said(write(wrong))
    assert "the name of a built-in one" in said(write(TEXT.replace('"my-net"', '"bn20"')))
    assert "received the name '../x'" in said(write(TEXT.replace('"my-net"', '"../x"')))
    changed = write(TEXT.replace('"adamw"', '"nadam"'))
    assert "in Training(…), optimizer is 'nadam', expected 'rmsprop' or 'adam' or" in said(changed)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("learning_rate=5e-3", "learning_rate=0", "learning_rate is 0. Expected a number above 0."),
        ("epochs=2", "epochs=0", "epochs is 0. Expected 1 or more."),
        (
            "epochs=2",
            "epochs=2, label_smoothing=1.5",
            "label_smoothing is 1.5. Expected 0 to below",
        ),
        ("epochs=2", "epochs=2, mixup=-1", "mixup is -1. Expected 0 or more."),
        ("shift=0.1", "shift=3", "in Affine(…), shift is 3. Expected at most 1, a share of the"),
        ("shift=0.1", "shear=90", "in Affine(…), shear is 90. Expected below 90 degrees."),
        ("shift=0.1", "zoom=1", "in Affine(…), zoom is 1. Expected below 1, a share of the scale"),
        (
            'name="my-net"',
            'name="my-net", space={"augmentation.shift": kd.Real(0, 2)}',
            "in Affine(…) or space, shift is 2. Expected at most 1",
        ),
    ],
)
def test_settings_that_cannot_train_are_refused(old, new, expected, write):
    text = TEXT.replace(old, new).replace(
        "import keras\n", "import keras\nimport kaggle_digits as kd\n", 1
    )
    assert expected in said(write(text))
    loading.run_program(text.encode(), Path("my_net.py"))  # as the recipe of an earlier run


def test_texts_in_a_space_have_no_limits(write):
    space = 'name="my-net", space={"learning_rate": kd.Choice(("a", "b"))}'
    text = TEXT.replace('name="my-net"', space).replace(
        "import keras\n", "import kaggle_digits as kd\nimport keras\n", 1
    )
    assert find(write(text)).name == "my-net"


def test_a_builder_may_be_an_object_with_layers(write):
    text = "class Build:\n    layers = (3,)\n    def __call__(self):\n        return network()\n"
    changed = TEXT.replace("RECIPE =", text + "\n\nRECIPE =").replace(
        "network=network", "network=Build()"
    )
    built: Any = find(write(changed)).network
    assert built.layers == (3,)


def test_a_file_that_cannot_stand_alone_is_refused(write, monkeypatch, tmp_path):
    """A run keeps a copy of the file, without what lies beside it."""
    write("x = 1", "blocks_beside.py")
    monkeypatch.syspath_prepend(tmp_path)  # as in a notebook
    assert "line 1: ModuleNotFoundError" in said(write("import no_such_package\n"))
    expected = (
        "my_net.py imports blocks_beside.py, which lies beside it. Expected a file that holds"
    )
    assert expected in said(write("from blocks_beside import x\n"))
    write("RECIPE = 1\nif __name__ == '__main__':\n    import blocks_beside\n", "same_name.py")
    assert "same_name.py, line 1: RECIPE has the type int" in said(
        "./same_name.py"
    )  # not run: allowed
    assert "line 2: SystemExit: 3" in said(write("\nraise SystemExit(3)\n"))


def test_what_is_wrong_with_a_module_is_said(write, monkeypatch, tmp_path):
    write("RIGHT = 1\n", "module_without_recipe.py")
    monkeypatch.syspath_prepend(tmp_path)
    assert "module_without_recipe.py, line 1: RECIPE has the type int" in said(
        "module_without_recipe:RIGHT"
    )
    assert "line 1: the file defines no WRONG" in said("module_without_recipe:WRONG")
    assert "'a b' is not a valid name" in said("module_without_recipe:a b")
    assert "zipimport is not a Python file" in said("zipimport:RECIPE")
    (tmp_path / "broken_package").mkdir()
    (tmp_path / "broken_package" / "__init__.py").write_text("1 / 0")
    (tmp_path / "package_that_ends").mkdir()
    (tmp_path / "package_that_ends" / "__init__.py").write_text("raise SystemExit(3)")
    assert "package_that_ends.nets:RECIPE: 3. Expected" in said("package_that_ends.nets:RECIPE")
    assert "division by zero. Expected package.module:NAME" in said("broken_package.nets:RECIPE")


def test_relative_imports_become_absolute():
    text = (
        b"from . import a; from .b import b\nfrom .b import (\n    c,\n)\n"
        b"if 1:\n    from ..d.e import f; x = '.'\n"
    )
    assert finding.make_absolute(text, "one.two").decode().splitlines() == [
        "from one.two import a; from one.two.b import b",
        "from one.two.b import (",
        "    c,",
        ")",
        "if 1:",
        "    from one.d.e import f; x = '.'",
    ]
    with pytest.raises(SyntaxError, match=r"expected `from one\.two\.a import` on one line"):
        finding.make_absolute(b"from \\\n .a import b\n", "one.two")


FLAT = "layers.Flatten(), "
SOFTMAX = "layers.Dense(10, activation='softmax')"
INPUT = "keras.Input((28, 28, 1)), "


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 1", "line 7: network() returns a int. Expected a Keras model"),
        ("pass", "line 7: network() returns nothing. Expected a Keras model"),
        ("1 / 0", "line 8: ZeroDivisionError"),
        (f"return keras.Sequential([{SOFTMAX}])", "begin it with keras.Input((28, 28, 1))"),
        (
            f"return keras.Sequential([keras.Input((32, 32, 3)), {FLAT}{SOFTMAX}])",
            "the network's input has the shape (32, 32, 3). Expected (28, 28, 1)",
        ),
        (
            f"return keras.Sequential([{INPUT}{FLAT}{SOFTMAX.replace('10', '9')}])",
            "the network's output has the shape (9,). Expected (10,)",
        ),
        (
            f"return keras.Sequential([{INPUT}{FLAT}layers.Dense(10)])",
            "which are not probabilities",
        ),
        (
            f"m = keras.Sequential([{INPUT}{FLAT}{SOFTMAX}]); m.trainable = False; return m",
            "the network has no weights to train. Expected at least one layer with weights",
        ),
        (
            f"return keras.Sequential([{INPUT}layers.Lambda(lambda x: x), {FLAT}{SOFTMAX}])",
            "a Lambda layer saves Python code",
        ),
        (
            f"return keras.Sequential([{INPUT}{FLAT}layers.Embedding(2, 3), {FLAT}{SOFTMAX}])",
            "line 7: InvalidArgumentError: Graph execution error: ",
        ),
    ],
)
def test_what_is_wrong_with_a_network_is_said(body, expected, write):
    start_keras()
    recipe = find(write(START.format(body=body)))
    with pytest.raises(InputError) as error:
        check_network(recipe, 10)
    assert expected in str(error.value)
    assert "my_net.py, " in str(error.value)


SUM = "x + self.second(self.first(x))"
LATE = """
    def compute_output_shape(self, shape):
        return (*shape[:-1], self.filters)

    def call(self"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            SUM,
            "x[..., :3] + self.second(self.first(x))",
            "{line}: ValueError: in Residual.call(), ",
        ),
        (SUM, "self.thrid(x)", "{line}: AttributeError: in Residual.call(), 'Residual' object has"),
        (SUM, "1 / 0", "{line}: ZeroDivisionError: in Residual.call(), division by zero. Expected"),
        ("    def call(self", LATE, "the layer Residual creates weights when it is first called"),
        ("network=network", "network=network()", "network is a Keras model. Expected the function"),
    ],
)
def test_what_is_wrong_with_a_layer_is_said_with_its_line(old, new, expected, write):
    text = TEXT.replace(old, new)
    line = text[: text.index(new)].count("\n") + 1
    if new == LATE:
        text = text.replace("        self.first.build(shape)\n", "")
    start_keras()
    with pytest.raises(InputError) as error:
        check_network(find(write(text)), 10)
    assert expected.format(line=f"my_net.py, line {line}") in str(error.value)
    assert "\x1b" not in str(error.value)


def test_recipes_checks_a_network_as_training_does(write, tmp_path):
    name = write(START.format(body=f"return keras.Sequential([{INPUT}{FLAT}layers.Dense(10)])"))
    done = product.call("recipes", name, cwd=tmp_path, code=2)
    assert "which are not probabilities" in done.stderr


def test_a_layer_that_could_not_be_loaded_again_is_refused(write):
    start_keras()
    unregistered = TEXT.replace("@keras.saving.register_keras_serializable()\n", "")
    with pytest.raises(InputError, match="the layer Residual is not registered"):
        check_network(find(write(unregistered)), 10)
    without_config = TEXT.replace(' | {"filters": self.filters}', "")
    with pytest.raises(InputError, match="get_config"):
        check_network(find(write(without_config)), 10)
    check_network(find(write(TEXT)), 10)


@pytest.mark.parametrize(
    ("layer", "call", "expected"),
    [
        ("self.scale = scale", "x * self.scale", "predicts other probabilities"),
        (
            "self.inner = layers.Dense(scale)",
            "x + keras.ops.mean(self.inner(x))",
            "has other weights",
        ),
    ],
)
def test_a_layer_that_forgets_an_argument_is_refused(layer, call, expected, write):
    """With a default value it is loaded without an error, and as another layer."""
    body = f"""class Forgetful(layers.Layer):
        def __init__(self, scale=1, **options):
            super().__init__(**options)
            {layer}

        def build(self, shape):
            if hasattr(self, "inner"):
                self.inner.build(shape)

        def compute_output_shape(self, shape):
            return shape

        def call(self, x):
            return {call}

        def get_config(self):
            return super().get_config()

    keras.saving.register_keras_serializable(package={layer!r})(Forgetful)
    return keras.Sequential([{INPUT}{FLAT}Forgetful(3), {SOFTMAX}])"""
    start_keras()
    with pytest.raises(InputError, match=rf"{expected}\. Give each custom layer a get_config"):
        check_network(find(write(START.format(body=body))), 10)


@pytest.mark.parametrize("rate", [0.5, 0.001])
def test_a_network_may_be_random_in_predictions(rate, write):
    body = f"""inputs = keras.Input((28, 28, 1))
    x = layers.Dropout({rate})(layers.Flatten()(inputs), training=True)
    return keras.Model(inputs, {SOFTMAX}(x))"""
    start_keras()
    check_network(find(write(START.format(body=body))), 10)


def test_two_recipes_may_name_their_layers_alike(write):
    keras = start_keras()
    first, other = write(f"{TEXT}# first\n", "first.py"), write(f"{TEXT}# other\n", "other.py")
    layers = [
        keras.saving.get_registered_object("Custom>Residual")
        for name in (first, other, first)
        if find(name)
    ]
    assert layers[0] is layers[2] is not layers[1]


TRAIN = ("train", "--limit", "200", "--epochs", "4")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with a sample and a finished run of a network of one's own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_net.py").write_text(TEXT)
    product.call("data", "get", "--source", "sample", cwd=folder)
    product.run(*TRAIN, "--recipe", "my_net.py", "--run", "runs/mine", cwd=folder)
    return folder


def test_the_run_is_complete_without_the_file(trained):
    run = trained / "runs" / "mine"
    assert (run / "recipe.py").read_text() == TEXT
    moved = trained / "my_net.py"
    moved.rename(trained / "kept")
    try:
        product.call("predict", "runs/mine", "--submission", "again.csv", cwd=trained)
    finally:
        (trained / "kept").rename(moved)
    assert (trained / "again.csv").read_bytes() == (run / "submission.csv").read_bytes()


@pytest.mark.parametrize(("form", "file"), [("onnx", "e.onnx"), ("keras", "e.keras")])
def test_it_is_exported_and_the_file_predicts_the_same(form, file, trained):
    """Its input is declared as float32, as in most notebooks; exports take uint8."""
    done = product.call("export", "runs/mine", "--format", form, "--output", file, cwd=trained)
    assert "Takes        uint8 [n, 28, 28, 1]" in done.stdout
    assert ('runpy.run_path("runs/mine/recipe.py")' in done.stdout) == (form == "keras")


def test_it_is_blended_with_a_built_in_one(trained):
    with untrained.training_takes_no_time():
        product.call(*TRAIN, "--recipe", "bn20", "--run", "runs/other", cwd=trained)
    done = product.call(
        "ensemble", "runs/mine", "runs/other", "--submission", "both.csv", cwd=trained
    )
    assert "runs/mine" in done.stdout
    assert (trained / "both.csv").read_text().startswith("ImageId,Label\n")


PACKAGE = {
    "__init__.py": "",
    "scale.py": "FACTOR = 1 / 255\n",
    "nets.py": """
import keras
from keras import layers

from kaggle_digits.recipes import Recipe, Training

from .scale import FACTOR


def network():
    return keras.Sequential([
        keras.Input((28, 28, 1)), layers.Rescaling(FACTOR), layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ])


SMALL = Recipe(
    name="small", summary="one layer", network=network,
    training=Training(optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=1),
)
""",
}


def test_a_recipe_of_a_package_trains_and_its_run_predicts(trained, monkeypatch, tmp_path):
    """Under any name, and with imports relative to its package."""
    (tmp_path / "package_of_mine").mkdir()
    for name, text in PACKAGE.items():
        (tmp_path / "package_of_mine" / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    recipe = "package_of_mine.nets:SMALL"
    product.call("cv", "--folds", "2", "--limit", "200", "--recipe", recipe, cwd=trained)
    [run] = (trained / "runs").glob("small-*")
    assert "from package_of_mine.scale import FACTOR" in (run / "recipe.py").read_text()
    product.call("predict", run, "--submission", "small.csv", cwd=trained)
    assert (trained / "small.csv").read_bytes() == (run / "submission.csv").read_bytes()


def test_a_user_without_a_home_folder_has_no_list_of_trusted_files(monkeypatch, tmp_path):
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    trust.trust("0" * 64)
    assert not trust.is_trusted("0" * 64)
    assert list(tmp_path.iterdir()) == []
    assert credentials.find({}) is None


def test_a_changed_file_is_another_run(trained):
    changed = TEXT.replace("learning_rate=5e-3", "learning_rate=1e-3")
    (trained / "changed.py").write_text(changed)
    command = (*TRAIN, "--recipe", "changed.py", "--run", "runs/mine")
    done = product.call(*command, cwd=trained, code=2)
    assert "recipe_sha256: the run has" in done.stderr
    assert "The file of the recipe my-net was changed since." in done.stderr
    assert "training.learning_rate: the run has 0.0037" in done.stderr  # adapted to few images


def test_the_copy_in_the_run_is_not_run_once_it_is_changed(trained, tmp_path):
    copy = trained / "runs" / "mine" / "recipe.py"
    copy.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{TEXT}")
    try:
        done = product.call("predict", "runs/mine", "--submission", "x.csv", cwd=trained, code=2)
    finally:
        copy.write_text(TEXT)
    assert "was changed after the run was started" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_killed_run_ends_with_the_same_bytes(trained):
    command = (*TRAIN, "--recipe", "my_net.py", "--run", "runs/killed")
    process = product.started(*command, cwd=trained)
    product.read_until(process, "epoch 2/4")
    process.kill()
    process.communicate()
    assert json.loads((trained / "runs/killed/run.json").read_text())["state"] == "running"
    product.run(*command, cwd=trained)  # a process of its own: threads change the last digits
    whole, resumed = (np.load(trained / f"runs/{name}/test.npz") for name in ("mine", "killed"))
    assert np.array_equal(whole["probabilities"], resumed["probabilities"])


def test_the_recipe_of_a_strangers_run_is_not_run_before_it_is_named(trained, tmp_path):
    nothing_named = str(tmp_path)
    command = ("predict", "runs/mine", "--submission", "y.csv")
    done = product.call(*command, cwd=trained, code=2, XDG_STATE_HOME=nothing_named)
    assert "is a Python program" in done.stderr
    [name] = [line for line in done.stderr.split() if line.endswith("recipe.py")][-1:]
    product.call("recipes", name, cwd=trained, XDG_STATE_HOME=nothing_named)
    product.call(*command, cwd=trained, XDG_STATE_HOME=nothing_named)
