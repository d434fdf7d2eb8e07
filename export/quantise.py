"""Try whether a GAN's graph is faster in int8: `python -m export.quantise GRAPH --cache MUSIC.npz`.

Quantises a graph statically (QDQ, calibrated on canvases of real songs) and dynamically, measures each beside fp32 on
one core, and says how far its scores stray. Writes the static one on request, so that `houseband evaluate --graph` can
tell whether its music holds; what ships is the faster of those whose music does.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from numpy.typing import NDArray

from export import check
from export.onnx_file import read_metadata
from export.onnx_runtime import onnxruntime, quantization
from models.data import song_cache
from models.draws import Draws
from models.gan.dataset import GAN_STYLES, Streams
from models.gan.roll import WRITTEN_BEATS
from music import signature
from music.chords import QUALITIES
from music.files import write_atomically
from music.note import PITCH_CLASSES

Feed = dict[str, NDArray[np.float32]]


class Canvases(quantization.CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no types
    """Gives feeds one after another, as the calibrator asks for them."""

    def __init__(self, feeds: list[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        """Return the next feed, None after the last."""
        return next(self._feeds, None)


def make_feeds(cache: Path, made: signature.Signature, count: int) -> Iterator[Feed]:
    """Yield what the graph is fed while songs of the training split are played: the now-lines of `count` streams."""
    songs = [s for s in song_cache.load(cache) if s.split == "train" and s.style in GAN_STYLES]
    shown = Streams(songs, Draws(11, count)).show()
    random = np.random.default_rng(0)
    for i in range(count):
        grooves = made.settings["grooves"][int(shown.style[i])]
        yield {
            "pitched": shown.pitched[i : i + 1],
            "plain": shown.plain[i : i + 1],
            "style": np.eye(len(GAN_STYLES), dtype=np.float32)[None, int(shown.style[i])],
            "z": np.asarray(grooves[i % len(grooves)][0], np.float32)[None],
            "noise": 0.3 * random.gumbel(size=(1, len(QUALITIES), PITCH_CLASSES, WRITTEN_BEATS)).astype(np.float32),
            "melody": shown.melody[i : i + 1],
            "phase": shown.phase[i : i + 1],
            "known": shown.known[i : i + 1],
        }


def fold_kernels(graph: Path, target: Path) -> None:
    """Write the graph with its kernels assembled, as onnxruntime folds them at load: only those can be quantised."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def measure_stray(one: Path, other: Path, given: list[Feed]) -> float:
    """Return the root mean square of the difference of all scores, as a share of that of the scores themselves."""
    sessions = [check.open_session(path) for path in (one, other)]
    error = whole = 0.0
    for feed in given:
        a, b = (np.concatenate([x.ravel() for x in s.run(None, feed)[1:]]) for s in sessions)
        error, whole = error + float(np.square(a - b).sum()), whole + float(np.square(a).sum())
    return float(np.sqrt(error / whole))


def try_int8(graph: Path, cache: Path, keep: Path | None = None, count: int = 48) -> dict[str, dict[str, float]]:
    """Return milliseconds a plan (p50, p99), megabytes and stray, of fp32 and its int8 versions."""
    whole = onnx.load(graph)
    made = signature.read_signature(read_metadata(whole))
    given = list(make_feeds(cache, made, count))
    with tempfile.TemporaryDirectory() as folder:
        plain, static, dynamic = (Path(folder) / f"{name}.onnx" for name in ("plain", "static", "dynamic"))
        fold_kernels(graph, plain)
        quantization.quantize_static(
            *(plain, static, Canvases(given)),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["Conv"],
        )
        quantization.quantize_dynamic(
            plain, dynamic, op_types_to_quantize=["Conv", "MatMul"], weight_type=quantization.QuantType.QUInt8
        )
        found = {}
        for name, path in {"fp32": graph, "static int8": static, "dynamic int8": dynamic}.items():
            times = check.time_runs(path, given[0], 200)
            found[name] = {
                "p50": round(float(times[len(times) // 2]), 2),
                "p99": round(float(times[int(0.99 * len(times))]), 2),
                "megabytes": round(path.stat().st_size / 1e6, 2),
                "stray": round(measure_stray(graph, path, given[:16]), 4),
            }
        if keep is not None:
            small = onnx.load(static)
            del small.metadata_props[:]
            small.metadata_props.extend(whole.metadata_props)
            write_atomically(keep, small.SerializeToString())
    return found


@click.command()
@click.argument("graph", type=click.Path(path_type=Path))
@click.option("--cache", type=click.Path(path_type=Path), required=True, help="Prepared music to calibrate with.")
@click.option("--keep", type=click.Path(path_type=Path), help="Write the static int8 graph there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(graph: Path, cache: Path, keep: Path | None, as_json: bool) -> None:
    """Try a GAN's GRAPH in int8, and say what it brings."""
    found: dict[str, Any] = try_int8(graph, cache, keep)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for name, figures in found.items():
        click.echo(f"{name:>13}  " + "  ".join(f"{key} {value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
