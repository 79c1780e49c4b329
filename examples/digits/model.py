"""The sparse CNN of the demo, with HGQ2's trained bit widths and a trained pixel budget."""

from __future__ import annotations

import keras
import numpy as np
from hgq.config import LayerConfigScope, QuantizerConfigScope
from hgq.layers import QDense
from hgq.quantizer.config import QuantizerConfig
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sparsepixels.layers import AveragePooling2DSparse, InputReduce, MaxPooling2DSparse, QConv2DSparse

EPOCHS = 5
BATCH = 128
SEED = 0


def build() -> keras.Model:
    """Two sparse convolutions on the kept pixels, two poolings, two dense layers, softmax."""
    keras.utils.set_random_seed(SEED)
    # More fractional bits than HGQ2's default at the start, so that faint pixels survive the first epochs.
    lane = QuantizerConfig(place="datalane", q_type="kif", i0=2, f0=6, overflow_mode="WRAP")
    with (
        QuantizerConfigScope(place="all", default_q_type="kbi", overflow_mode="SAT_SYM"),
        QuantizerConfigScope(place="datalane", default_q_type="kif", overflow_mode="WRAP"),
        LayerConfigScope(enable_ebops=True, enable_iq=True, beta0=1e-7),
    ):
        image = keras.Input((32, 32, 1), name="image")
        x, mask = InputReduce(n=20, threshold=0.4, beta_n=5e-3, name="reduce")(image)
        x = QConv2DSparse(filters=4, kernel_size=5, padding="same", activation="relu", iq_conf=lane, name="conv1")(
            [x, mask]
        )
        x, mask = AveragePooling2DSparse(2, name="pool1")([x, mask])
        x = QConv2DSparse(filters=16, kernel_size=5, padding="same", activation="relu", iq_conf=lane, name="conv2")(
            [x, mask]
        )
        x, mask = MaxPooling2DSparse(4, name="pool2")([x, mask])
        x = keras.layers.Flatten(name="flatten")(x)
        x = QDense(32, activation="relu", iq_conf=lane, name="dense1")(x)
        x = QDense(10, iq_conf=lane, name="dense2")(x)
        x = keras.layers.Activation("softmax", name="softmax")(x)
    return keras.Model(image, x, name="digits")


class ShowTraining(keras.callbacks.Callback):
    """A progress bar on a terminal, and one line per epoch everywhere."""

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Start the bar."""
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(highlight=False)
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.progress.add_task("training", total=self.params["epochs"] * self.params["steps"])
        self.progress.start()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the bar."""
        self.progress.advance(self.task)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Print the epoch's line."""
        reduce, now = self.model.get_layer("reduce"), logs or {}
        self.progress.console.print(
            f"  epoch {epoch + 1}/{self.params['epochs']}: loss {now['loss']:.3f}, accuracy {now['accuracy']:.1%}, "
            f"keeps {reduce.n_max_pixels} pixels above {reduce.threshold:.3f}"
        )

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Remove the bar."""
        self.progress.stop()


def train(model: keras.Model, x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
    """Train in under a minute on two cores."""
    steps = EPOCHS * -(-len(x) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(1e-2, steps)
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[ShowTraining()])
