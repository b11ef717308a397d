"""One model on one split."""

import json
import math
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from kaggle_digits import backend
from kaggle_digits.backend import start_keras
from kaggle_digits.datasets.dataset import Dataset
from kaggle_digits.errors import InputError
from kaggle_digits.recipes import Affine, Recipe, Training, find
from kaggle_digits.recipes.recipe import sequential
from kaggle_digits.training import building, fit, predicting, seeding
from kaggle_digits.training.history import Epoch, read_history
from tests import helpers, own_network

SCHEDULE = Training(
    optimizer="rmsprop",
    learning_rate=0.01,
    schedule="cosine",
    warmup_epochs=1,
    batch_size=8,
    epochs=4,
    augmentation=Affine(rotation=5),
    label_smoothing=0.1,
)


class Silent:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.found = -1
        self.counts: list[int] = []
        self.epochs: list[Epoch] = []

    def epochs_found(self, count: int) -> None:
        self.found = count

    def images_trained(self, count: int) -> None:
        self.counts.append(count)

    def epoch_done(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)


def small_network():
    from keras import layers

    convolution = layers.Conv2D(4, 5, strides=4, activation="relu")
    answer = layers.Dense(10, activation="softmax")
    return sequential((28, 28, 1), [convolution, layers.Flatten(), layers.Dropout(0.5), answer])


RECIPE = Recipe(name="small", summary="", network=small_network, training=SCHEDULE)


@pytest.fixture(scope="module", autouse=True)
def keras():
    return start_keras()


@pytest.fixture(scope="module")
def data():
    images = helpers.images(60).reshape(-1, 28, 28, 1)
    return Dataset(images, helpers.labels(60), np.arange(1, 61))


def fitted(data, folder, settings=SCHEDULE, seed=(0, 1), held_out=None):
    folder.mkdir(exist_ok=True)
    watcher = Silent()
    model, history = fit.train_model(
        RECIPE, settings, data, held_out, seed=seed, folder=folder, watcher=watcher
    )
    return model, history, watcher


def stop_before(epoch, data, folder, settings=SCHEDULE):
    real = fit._train_epoch

    def stopped(models, settings, train, held_out, seed, watcher):
        if seed[-1] == epoch:
            raise KeyboardInterrupt
        return real(models, settings, train, held_out, seed, watcher)

    with mock.patch.object(fit, "_train_epoch", stopped), pytest.raises(KeyboardInterrupt):
        fitted(data, folder, settings)


def weights(model) -> bytes:
    return b"".join(weight.tobytes() for weight in model.network.get_weights())


def test_learning_rate_rises_for_an_epoch_and_falls_to_zero(data, tmp_path):
    _, history, _ = fitted(data, tmp_path)
    rates = [epoch.learning_rate for epoch in history]
    assert rates[0] == pytest.approx(0.01, rel=0.02)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-6)


def test_exponential_learning_rate_falls_after_each_epoch(data, tmp_path):
    settings = replace(SCHEDULE, schedule="exponential", decay=0.5, epochs=3)
    _, history, _ = fitted(data, tmp_path, settings)
    assert [epoch.learning_rate for epoch in history] == pytest.approx([0.005, 0.0025, 0.00125])


def test_constant_learning_rate_without_held_out_images(data, tmp_path):
    settings = replace(SCHEDULE, schedule="constant", epochs=2)
    _, history, _ = fitted(data, tmp_path, settings)
    assert [epoch.learning_rate for epoch in history] == pytest.approx([0.01, 0.01])
    assert all(math.isnan(epoch.val_loss) for epoch in history)


def test_the_watcher_sees_every_image_and_epoch(data, tmp_path):
    model, history, watcher = fitted(data, tmp_path, held_out=data)
    assert watcher.found == 0
    assert watcher.epochs == history == read_history(tmp_path / "history.csv")
    assert max(watcher.counts) == len(data)
    right = model.predict(data.images).argmax(axis=1) == data.labels
    assert history[-1].val_accuracy == pytest.approx(right.mean())
    assert history[-1].loss < history[0].loss


def test_same_seed_same_weights_and_another_seed_others(data, tmp_path):
    first = weights(fitted(data, tmp_path / "a")[0])
    assert weights(fitted(data, tmp_path / "b")[0]) == first
    assert weights(fitted(data, tmp_path / "c", seed=(0, 2))[0]) != first


@pytest.mark.parametrize(
    ("optimizer", "precision", "splits"),
    [
        ("rmsprop", "float32", 1),
        ("adamw", "bfloat16", 2),
        ("muon", "float16", 2),
        ("adadelta", "float32", 2),
        ("muon", "float32", 2),
    ],
)
def test_the_graphs_of_the_fold_before_change_no_byte(
    optimizer, precision, splits, data, tmp_path, monkeypatch
):
    settings = replace(
        SCHEDULE, optimizer=optimizer, precision=precision, batch_splits=splits, epochs=2
    )
    monkeypatch.setattr(fit._thread, "reusable", None)
    alone = weights(fitted(data, tmp_path / "alone", settings, seed=(0, 1))[0])
    monkeypatch.setattr(fit._thread, "reusable", None)
    fitted(data, tmp_path / "before", settings, seed=(0, 0))
    before = fit._thread.reusable
    assert before is not None
    model, *_ = fitted(data, tmp_path / "after", settings, seed=(0, 1))
    assert fit._thread.reusable is before
    assert model is before.models.judge
    assert weights(model) == alone


def test_a_layer_of_ones_own_gets_new_graphs(data, tmp_path):
    (tmp_path / "own.py").write_text(own_network.TEXT)
    own = find(str(tmp_path / "own.py"))
    models = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        model, _ = fit.train_model(
            own, own.training, data, None, seed=(0, 1), folder=folder, watcher=Silent()
        )
        models.append(model)
    assert models[0] is not models[1]
    assert weights(models[0]) == weights(models[1])


def test_every_generator_of_a_network_is_seeded():
    keras = start_keras()
    network = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dropout(0.5),
            keras.Sequential([keras.layers.Dense(4), keras.layers.Dropout(0.5)]),
        ]
    )

    def states():
        weights = {id(weight) for weight in network.weights}
        kept = [variable for variable in network.variables if id(variable) not in weights]
        return [keras.ops.convert_to_numpy(state).tolist() for state in kept]

    seeding.seed_layers(network, (0, 1))
    first = states()
    assert len({tuple(state) for state in first}) == 2
    network(np.ones((2, 4), np.float32), training=True)
    assert states() != first
    seeding.seed_layers(network, (0, 1))
    assert states() == first
    seeding.seed_layers(network, (0, 2))
    assert all(new != old for new, old in zip(states(), first, strict=True))


def test_another_thread_gets_new_graphs(data, tmp_path):
    here, *_ = fitted(data, tmp_path / "a")
    with ThreadPoolExecutor(1) as pool:
        there, *_ = pool.submit(fitted, data, tmp_path / "b").result()
    assert here is not there
    assert weights(here) == weights(there)


def test_goes_on_after_the_last_checkpoint(data, tmp_path):
    whole = weights(fitted(data, tmp_path / "whole")[0])
    stop_before(3, data, tmp_path / "broken")
    # A row that was written before its checkpoint could be: the epoch is trained again.
    history = tmp_path / "broken" / "history.csv"
    rows = history.read_text()
    history.write_text(rows + rows.splitlines()[-1].replace("2,", "3,", 1) + "\n")
    model, epochs, watcher = fitted(data, tmp_path / "broken")
    assert watcher.found == 2
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert weights(model) == whole


def test_resumes_with_the_momentum_of_muon(data, tmp_path):
    settings = replace(SCHEDULE, optimizer="muon", precision="bfloat16", batch_splits=2)
    whole = weights(fitted(data, tmp_path / "whole", settings)[0])
    stop_before(3, data, tmp_path / "stopped", settings)
    again, _, watcher = fitted(data, tmp_path / "stopped", settings)
    assert watcher.found == 2
    assert weights(again) == whole


def test_a_checkpoint_without_its_history_is_named(data, tmp_path):
    stop_before(2, data, tmp_path)
    (tmp_path / "history.csv").unlink()
    with pytest.raises(InputError, match=r"history\.csv cannot be read: No such file") as error:
        fitted(data, tmp_path)
    assert f"To train this fold again, remove {tmp_path}" in str(error.value)


def test_divergence_is_named(data, tmp_path):
    settings = replace(SCHEDULE, learning_rate=math.inf, schedule="constant")
    with pytest.raises(InputError, match=r"the loss is nan in epoch \d: training diverged"):
        fitted(data, tmp_path, settings)
    assert not (tmp_path / "checkpoint.keras").exists()


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 broken"])
def test_a_damaged_model_is_named(content, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.keras is not a readable model"):
        predicting.load_model(path)
    with pytest.raises(InputError, match=r"model\.keras is not a readable model"):
        predicting.load_weights(small_network(), path)


def test_a_model_with_code_in_it_is_refused(tmp_path, keras):
    path = tmp_path / "model.keras"
    layer = keras.layers.Lambda(lambda x: x)
    keras.Sequential([keras.Input((2,)), layer]).save(path)
    with pytest.raises(InputError, match="has a Lambda layer: Python code"):
        predicting.load_model(path)


def test_a_saved_model_is_complete_by_itself(data, tmp_path, keras):
    model, *_ = fitted(data, tmp_path)
    model.network.save(tmp_path / "model.keras", include_optimizer=False)
    again = predicting.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        model.predict(data.images),
        predicting.Predictor(again).predict(data.images),
    )
    assert keras.backend.standardize_dtype(again.inputs[0].dtype) == "uint8"


def test_adamw_without_weight_decay():
    settings = replace(SCHEDULE, optimizer="adamw", weight_decay=0.0)
    assert building.make_optimizer(settings, 1).weight_decay == 0


IN_SPLITS = replace(SCHEDULE, precision="bfloat16", batch_splits=2)


def test_bfloat16_in_parts_learns_and_is_saved_in_float32(data, tmp_path):
    model, history, _ = fitted(data, tmp_path, IN_SPLITS, held_out=data)
    assert history[-1].loss < history[0].loss
    assert {layer.compute_dtype for layer in model.network.layers} == {"float32"}
    assert {str(weight.dtype) for weight in model.network.weights} == {"float32"}
    trained = predicting.load_model(tmp_path / "checkpoint.keras")
    assert trained.network.layers[-2].dtype_policy.name == "mixed_bfloat16"
    assert trained.network.layers[-1].compute_dtype == "float32", "what the loss sees is exact"


@pytest.mark.parametrize(
    ("processor", "precision"),
    [
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16\n", "float32"),
        ("vendor_id : GenuineIntel\nflags : avx512_bf16 amx_bf16 amx_tile\n", "bfloat16"),
        ("vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16\n", "bfloat16"),
        ("vendor_id : AuthenticAMD\nflags : avx2\n", "float32"),
    ],
)
def test_the_precision_follows_the_processor(processor, precision, tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    path.write_text(processor)
    assert backend.faster_precision(path) == precision
    assert backend.faster_precision(tmp_path / "missing") == "float32"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert backend.faster_precision(path) == "float32"


def test_auto_becomes_a_precision():
    chosen = fit.resolve_precision(replace(SCHEDULE, precision="auto"))
    assert chosen.precision == backend.faster_precision()
    assert fit.resolve_precision(IN_SPLITS) == IN_SPLITS


@pytest.mark.parametrize(
    "settings",
    [
        IN_SPLITS,
        replace(SCHEDULE, precision="float16"),
        replace(SCHEDULE, precision="float16", batch_splits=2),
    ],
    ids=["bfloat16 in splits", "float16", "float16 in splits"],
)
def test_other_precisions_and_parts_go_on_with_the_same_bytes(settings, data, tmp_path):
    model, history, _ = fitted(data, tmp_path / "whole", settings)
    whole = weights(model)
    assert history[-1].loss < history[0].loss
    stop_before(3, data, tmp_path / "stopped", settings)
    again, _, watcher = fitted(data, tmp_path / "stopped", settings)
    assert watcher.found == 2
    assert weights(again) == whole


def rename_class(checkpoint: Path) -> None:
    """Rewrite ``checkpoint`` as earlier versions wrote it: another module and class name."""
    with zipfile.ZipFile(checkpoint) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    assert config["registered_name"] == "kaggle_digits>InParts"
    config |= {"module": "kaggle_digits.parts", "class_name": "InParts"}
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(checkpoint, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_a_checkpoint_of_an_earlier_version_resumes(data, tmp_path):
    whole = weights(fitted(data, tmp_path / "whole", IN_SPLITS)[0])
    stop_before(3, data, tmp_path / "stopped", IN_SPLITS)
    rename_class(tmp_path / "stopped" / "checkpoint.keras")
    again, _, watcher = fitted(data, tmp_path / "stopped", IN_SPLITS)
    assert watcher.found == 2
    assert weights(again) == whole


def test_float16_scales_the_loss_and_skips_no_step(data, tmp_path):
    fitted(data, tmp_path, replace(SCHEDULE, precision="float16"))
    optimizer = predicting.load_model(tmp_path / "checkpoint.keras").optimizer
    assert optimizer.loss_scale_factor == building.LOSS_SCALE
    assert int(optimizer.iterations) == SCHEDULE.epochs * math.ceil(60 / SCHEDULE.batch_size)


def test_a_single_image_is_predicted_like_many(data):
    network = find("record-5").network()
    together = predicting.Predictor(network).predict(data.images[:3])
    alone = predicting.Predictor(network).predict(data.images[:1])
    np.testing.assert_allclose(alone, together[:1], atol=1e-5)


def test_parts_give_the_answers_of_the_whole(data):
    network = small_network()
    answers = predicting.Predictor(network).predict(data.images)
    np.testing.assert_allclose(answers, network.predict(data.images, verbose=0), atol=1e-6)
    one = predicting.Predictor(network).predict(data.images[:1])
    np.testing.assert_allclose(one, answers[:1], atol=1e-6)


def test_a_rest_too_small_to_be_divided_is_left_out(data, tmp_path):
    settings = replace(IN_SPLITS, batch_size=59, epochs=1)
    _, [epoch], _ = fitted(data, tmp_path, settings)
    assert math.isfinite(epoch.loss)
    assert settings.steps(60) == 1
    assert settings.steps(61) == 2
    assert replace(settings, batch_splits=1).steps(60) == 2


def test_mixup_goes_on_with_the_same_bytes_and_trains_on_other_images(data, tmp_path):
    settings = replace(SCHEDULE, mixup=0.3)
    whole = weights(fitted(data, tmp_path / "whole", settings)[0])
    stop_before(3, data, tmp_path / "stopped", settings)
    assert weights(fitted(data, tmp_path / "stopped", settings)[0]) == whole
    assert weights(fitted(data, tmp_path / "without", SCHEDULE)[0]) != whole


def test_the_last_epochs_are_not_distorted(data, tmp_path, monkeypatch):
    from kaggle_digits.transforms import augmentation

    seen = []

    def unmoved(images, affine, _rng):
        seen.append(affine)
        return images

    monkeypatch.setattr(augmentation, "augment", unmoved)
    strong = Affine(rotation=40, shift=0.2, flip=True, fill="nearest")
    settings = replace(SCHEDULE, epochs=5, augmentation=strong, final_epochs_without_augmentation=1)
    fitted(data, tmp_path / "flipped", settings)
    assert seen == [*[strong] * 4, Affine(flip=True)]
    seen.clear()
    fitted(data, tmp_path / "not", replace(settings, augmentation=replace(strong, flip=False)))
    assert seen == [replace(strong, flip=False)] * 4


def test_of_fewer_epochs_a_quarter_at_most_is_not_distorted():
    settings = replace(SCHEDULE, epochs=20, final_epochs_without_augmentation=4)
    undistorted = [
        settings.over(epochs).final_epochs_without_augmentation for epochs in (3, 4, 15, 16, 40)
    ]
    assert undistorted == [0, 1, 3, 4, 4]
    assert settings.over(15).epochs == 15
