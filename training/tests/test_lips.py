"""The numbers of a person's mouth, and how they follow from what is heard: on a speaking robin, and on numbers that are known."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from viseme_train import metrics
from viseme_train.avatar import events, hearing, lips, material, shape
from viseme_train.avatar.lips import PersonCode
from viseme_train.avatar.material import Material
from viseme_train.avatar.settings import FitSettings

TOY = FitSettings(held_out_seconds=(1.0, 1.0), held_out=0.1)


@pytest.fixture(scope="module")
def robins(data: Path) -> Material:
    return material.load(data)


def test_the_numbers_tell_opening_and_width_of_unseen_frames(robins: Material) -> None:
    train, held = material.split(robins, TOY)
    numbers = lips.filmed(robins, train)
    np.testing.assert_allclose(numbers[train].std(0), 1, atol=0.02)
    x = np.concatenate([numbers, np.ones((len(robins), 1))], 1)
    for truth, least in ((robins.aperture, 0.98), (shape.mouth_width(robins.points), 0.9)):
        weight = np.linalg.lstsq(x[train], truth[train], rcond=None)[0]
        assert metrics.correlation(x[held] @ weight, truth[held]) > least


def test_what_is_heard_moves_the_numbers_and_closes_the_mouth(robins: Material) -> None:
    train, held = material.split(robins, TOY)
    numbers = lips.filmed(robins, train)
    code = PersonCode()
    r = lips.learn_to_follow(code, robins, train, numbers, TOY.apart)
    assert r[0] > 0.5
    hear = lambda m: code.numbers(torch.from_numpy(m.mouth), torch.from_numpy(m.code)).detach().numpy()
    said = hear(robins)
    # The first number is the opening, either way round.
    assert metrics.correlation(said[held, 0], numbers[held, 0]) > 0.5
    assert 0.7 < said[train, 0].std() < 1.3
    # Lips that the ear hears touching touch, and silence is always closed and still.
    silent = hearing.hear(hearing.load(), np.random.default_rng(0).normal(0, 1e-3, 48000).astype(np.float32))
    quiet = hear(replace(robins, mouth=silent.mouth[10:], code=silent.code[10:]))
    np.testing.assert_allclose(quiet, np.broadcast_to(code.closed.numpy(), quiet.shape), atol=1e-5)
    # Nothing that may be heard leaves what was filmed.
    wild = code.numbers(torch.full((1, 7), 9.0), 50 * torch.randn(1, robins.code.shape[1]))
    assert (wild >= code.lowest - 1e-4).all()
    assert (wild <= code.highest + 1e-4).all()


def test_the_map_is_found_where_there_is_one(robins: Material) -> None:
    rng = np.random.default_rng(3)
    described = rng.normal(0, 1, (len(robins), 7)).astype(np.float32) * 0.2 + 0.5
    train, held = material.split(robins, TOY)
    heard = replace(robins, mouth=described)
    numbers = np.repeat((described[:, :1] - 0.5) / 0.2, lips.NUMBERS, 1).astype(np.float32)
    numbers[:, 1] = rng.normal(0, 1, len(robins))
    code = PersonCode()
    r = lips.learn_to_follow(code, heard, train, numbers, TOY.apart)
    assert r[0] > 0.9
    said = code.follow(torch.cat([lips.describe(torch.from_numpy(described)), torch.from_numpy(robins.code)], 1)).detach().numpy()
    assert metrics.correlation(said[held, 0], numbers[held, 0]) > 0.9
    # What is not heard stays where it is.
    assert abs(said[:, 1]).max() == 0


def test_event_files_are_what_tensorboard_reads(tmp_path: Path) -> None:
    assert events.crc32c(b"123456789") == 0xE3069283
    file = events.Events(tmp_path)
    file.add(300, {"psnr": 25.5, "width r": -0.25})
    data, found = file.path.read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<Q", data)
        assert data[8:12] == events._masked(data[:8])
        message = data[12:12 + length]
        assert data[12 + length:16 + length] == events._masked(message)
        found.append(message)
        data = data[16 + length:]
    assert len(found) == 2
    assert b"brain.Event:2" in found[0]
    assert found[1][9:12] == b"\x10\xac\x02"
    assert b"\x0a\x04psnr\x15" + struct.pack("<f", 25.5) in found[1]
    assert b"\x0a\x07width r\x15" + struct.pack("<f", -0.25) in found[1]
