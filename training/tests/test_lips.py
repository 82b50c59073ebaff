"""The numbers of a person's mouth, and how they follow from what is heard: on a speaking robin, and on numbers that are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from viseme_train import checkpoint, metrics
from viseme_train.avatar import fit, hearing, lips, material, shape
from viseme_train.avatar.lips import PersonCode
from viseme_train.avatar.material import Material
from viseme_train.avatar.settings import FitSettings
from viseme_train.compact.networks import Painter, describe
from viseme_train.compact.train_painter import Hand

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
    said = code.follow(torch.cat([describe(torch.from_numpy(described)), torch.from_numpy(robins.code)], 1)).detach().numpy()
    assert metrics.correlation(said[held, 0], numbers[held, 0]) > 0.9
    # What is not heard stays where it is.
    assert abs(said[:, 1]).max() == 0


def test_a_person_begins_as_robin(robins: Material) -> None:
    train, held = material.split(robins, TOY)
    numbers = lips.filmed(robins, train)
    base = Hand()
    base.load_state_dict(checkpoint.load(fit.BASE))
    hand = Hand(PersonCode(), robins.size)
    fit.start_from(hand, checkpoint.load(fit.BASE), robins, train, numbers)
    base.eval(), hand.eval()
    with torch.inference_mode():
        theirs, own = base.code(torch.from_numpy(robins.mouth[held])), hand.code(torch.from_numpy(numbers[held]))
        image = torch.rand(1, 6, 64, 96)
        torch.testing.assert_close(hand.painter(image, theirs[:1], (0, 0)), base.painter(image, theirs[:1]))
    assert metrics.correlation(own.numpy().ravel(), theirs.numpy().ravel()) > 0.8


def test_a_part_learns_its_own_places() -> None:
    painter = Painter(crop=(96, 128))
    painter(torch.rand(2, 6, 64, 32), torch.rand(2, 128), (32, 64)).sum().backward()
    for place, step in zip(painter.places, (32, 16, 8, 4)):
        assert place.shape[2:] == (128 // step, 96 // step)
        assert place.grad is not None
        touched = place.grad.abs().sum((0, 1)) > 0
        inside = torch.zeros_like(touched)
        inside[64 // step:128 // step, 32 // step:64 // step] = True
        assert touched[inside].any()
        assert not touched[~inside].any()


def test_everything_is_drawn_at_first() -> None:
    painter = Painter().eval()
    with torch.no_grad():
        painter.out.bias[48:].fill_(-30)  # nothing is to be seen of the drawing
    image, code = torch.rand(1, 6, 32, 32), torch.rand(1, 128)
    with torch.inference_mode():
        torch.testing.assert_close(painter(image, code), image[:, :3])
        painter.least_share = 1.0
        assert (painter(image, code) - image[:, :3]).abs().mean() > 0.05
