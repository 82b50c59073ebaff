"""`viseme-train fit` at toy size, on a speaking robin."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import clips
from viseme_train import checkpoint
from viseme_train.avatar import fit, lips, material, measure, shape
from viseme_train.avatar.lips import PersonCode
from viseme_train.avatar.material import Material
from viseme_train.avatar.prepare import prepare
from viseme_train.avatar.settings import FitSettings
from viseme_train.avatar.video import ClipError
from viseme_train.compact.train_painter import Hand

TOY = FitSettings(minutes=0.3, batch=2, held_out_seconds=(1.0, 1.0), held_out=0.1, checkpoint_seconds=0, critic_from=0.5)


@pytest.fixture(scope="module")
def robins(data: Path) -> Material:
    return material.load(data)


def test_no_bad_frame_is_used(robins: Material, data: Path) -> None:
    with np.load(data / "clip-1" / "frames.npz") as frames:
        good = np.flatnonzero(frames["marks"] == 0)
    np.testing.assert_array_equal(robins.frame, good)


def test_the_held_out_end_is_apart(robins: Material) -> None:
    train, held = material.split(robins, TOY)
    assert len(held) == 25
    assert held.min() - train.max() >= TOY.apart
    assert robins.speaking[held].all()


def test_a_reference_is_of_another_moment(robins: Material) -> None:
    train, _ = material.split(robins, TOY)
    for target in train[::20]:
        chosen = material.references(robins, int(target), train, TOY)
        assert len(chosen) == TOY.alike
        assert np.abs(robins.frame[chosen] - robins.frame[target]).min() >= TOY.apart


def test_around_the_mask_both_are_the_target(robins: Material) -> None:
    target = 10
    middle = shape.heads(robins.points).at(0)
    reference = int(np.linalg.norm(middle - middle[target], axis=1).argmax())
    given, wanted = material.pair(robins, target, reference)
    np.testing.assert_array_equal(given[robins.mask == 0], wanted[robins.mask == 0])
    # Moved onto the target's head the reference is nearer to it than where it was.
    width, height = robins.size
    margin = material.MARGIN
    still = robins.crops[reference][margin:margin + height, margin:margin + width]
    upper = np.s_[:height // 5, width // 3:2 * width // 3]  # the bridge of the nose, and nothing behind the head
    moved = material.warped(robins, reference, material.onto(robins, reference, target))
    assert np.abs(moved[upper].astype(int) - wanted[upper]).mean() < 0.75 * np.abs(still[upper].astype(int) - wanted[upper]).mean()


def test_the_mask_ends_inside_the_crop_and_covers_the_lips(robins: Material) -> None:
    mask = robins.mask
    assert mask[0].max() == mask[-1].max() == mask[:, 0].max() == mask[:, -1].max() == 0
    lips = robins.points[:, list(material.LIPS), :2].round().astype(int)
    assert mask[lips[..., 1], lips[..., 0]].min() > 128
    assert 0.2 < (mask > 0).mean() < 0.8


def test_copies_are_varied_and_hide_what_is_to_be_drawn(robins: Material) -> None:
    train, _ = material.split(robins, TOY)
    numbers = lips.filmed(robins, train)
    image, target, mouth, near = material.batch(robins, train, numbers, TOY, np.random.default_rng(0), material.whole(robins))
    hidden = torch.from_numpy(robins.mask > 0)
    assert image[:, 3:][..., hidden].abs().max() == 0
    assert torch.equal(image[:, :3][..., ~hidden], target[..., ~hidden])
    assert not torch.equal(target[0], target[1])
    assert (near.amax((1, 2, 3)) > 0.9).all()
    assert mouth.shape == (2, lips.NUMBERS)


def test_a_part_is_cut_out_of_the_same_picture(robins: Material) -> None:
    train, _ = material.split(robins, TOY)
    numbers = lips.filmed(robins, train)
    window = material.mouth_window(robins)
    columns, rows = window
    assert all(edge % material.GRID == 0 for edge in (columns.start, columns.stop, rows.start, rows.stop))
    low, high = robins.points[:, list(material.LIPS), :2].min(1), robins.points[:, list(material.LIPS), :2].max(1)
    assert ((low > (columns.start, rows.start)) & (high < (columns.stop, rows.stop))).all(1).mean() > 0.85
    part = material.batch(robins, train, numbers, TOY, np.random.default_rng(0), window)
    whole = material.batch(robins, train, numbers, TOY, np.random.default_rng(0), material.whole(robins))
    torch.testing.assert_close(part[2], whole[2])
    for a, b in ((part[0], whole[0]), (part[1], whole[1])):
        torch.testing.assert_close(a, b[..., rows, columns], atol=4 / 255, rtol=0)
        torch.testing.assert_close(fit.part(b, material.whole(robins), window), b[..., rows, columns])


def test_the_loss_is_zero_on_the_target_and_heavier_at_the_mouth() -> None:
    wanted = torch.full((1, 3, 64, 64), 0.5)
    mask, near = torch.ones(64, 64), torch.zeros(1, 1, 64, 64)
    near[..., 24:40, 24:40] = 1
    assert abs(float(fit.loss(TOY, wanted, wanted, mask, near))) < 1e-6
    at_mouth, elsewhere = wanted.clone(), wanted.clone()
    at_mouth[..., 30:34, 30:34] += 0.05
    elsewhere[..., 4:8, 4:8] += 0.05
    assert fit.loss(TOY, at_mouth, wanted, mask, near) > 2 * fit.loss(TOY, elsewhere, wanted, mask, near)


def test_another_listener_wants_another_preparation(spoiled: Path, data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    note = copy / "data.json"
    text = note.read_text(encoding="utf-8")
    note.write_text(text.replace(json.loads(text)["listener"], "0" * 64), encoding="utf-8")
    with pytest.raises(ClipError, match="another listener"):
        fit.fit(copy, tmp_path / "run", TOY)
    scanned = (copy / "clip-1" / "000.npz").stat().st_mtime_ns
    prepare([spoiled], copy, clips.SHORT)
    assert note.read_text(encoding="utf-8") == text
    assert (copy / "clip-1" / "000.npz").stat().st_mtime_ns == scanned


class Truth(torch.nn.Module):
    """A painter that knows the answer, or gives its reference back."""

    def __init__(self, judge: measure.Judge, copies: bool) -> None:
        super().__init__()
        self.code, self.judge, self.copies, self.calls = PersonCode(), judge, copies, 0

    def forward(self, image: torch.Tensor, mouth: torch.Tensor) -> torch.Tensor:
        _, wanted = self.judge.pairs[self.calls % len(self.judge.pairs)]
        self.calls += 1
        return image[:, :3] if self.copies else torch.from_numpy(wanted).permute(2, 0, 1)[None].float() / 255


def test_the_measurement_knows_truth_from_a_copy(robins: Material) -> None:
    train, held = material.split(robins, TOY)
    judge = measure.Judge(robins, train, held, TOY)
    truth, _ = judge.measure(Truth(judge, copies=False))
    assert truth.opening_r > 0.99
    assert truth.lag == 0
    assert truth.psnr > 45
    assert truth.texture_ratio == pytest.approx(1, abs=0.05)
    assert truth.spread_ratio == pytest.approx(1, abs=0.05)
    copy, grid = judge.measure(Truth(judge, copies=True))
    assert copy.opening_r < 0.6
    assert copy.psnr < copy.copy_psnr + 1 < truth.psnr
    assert grid.shape == (4 * robins.size[1], 8 * robins.size[0], 3)


@pytest.mark.slow
def test_training_learns_goes_on_and_writes_its_page(data: Path, robins: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[float] = []
    original = fit.loss

    def noted(*arguments: object) -> torch.Tensor:
        value = original(*arguments)  # type: ignore[arg-type]
        losses.append(float(value.detach()))
        return value

    monkeypatch.setattr(fit, "loss", noted)
    work = tmp_path / "run"
    figures = fit.fit(data, work, TOY)
    count = len(losses)
    assert count > 8, "too few steps to tell anything"
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4]), losses
    assert np.isfinite(figures.psnr)
    page = (work / "index.html").read_text(encoding="utf-8")
    assert "finished" in page
    assert "data:image/jpeg" in page
    assert json.loads((work / "figures.json").read_text(encoding="utf-8"))["psnr"] == pytest.approx(figures.psnr)
    Hand(PersonCode(), robins.size).load_state_dict(checkpoint.load(work / "best.pth"), strict=True)
    step = checkpoint.load(work / "painter.ckpt")["step"]
    assert step == count
    fit.fit(data, work, replace(TOY, minutes=0.4))
    after = checkpoint.load(work / "painter.ckpt")["step"]
    assert after == len(losses) > step
    with pytest.raises(ClipError, match="other data"):
        fit.fit(data, work, replace(TOY, batch=3))
