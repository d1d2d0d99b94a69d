from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import Exit, GadError
from infra.operate.images.catalogue import FILE, Catalogue, load_catalogue

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / FILE).read_text()


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(ROOT)


def write(root: Path, text: str) -> Path:
    (root / FILE).parent.mkdir(parents=True)
    (root / FILE).write_text(text)
    return root


def test_every_recipe_is_in_the_catalogue_and_back(catalogue: Catalogue) -> None:
    folders = {path.parent.name for path in (ROOT / FILE).parent.glob("*/Dockerfile")}
    assert folders == set(catalogue.images)


def test_uids_differ_so_that_no_service_reads_the_files_of_another(catalogue: Catalogue) -> None:
    uids = [image.uid for image in catalogue.images.values() if image.uid is not None]
    assert len(uids) == len(catalogue.images) - 1  # a lab is a machine, with many users
    assert sorted(set(uids)) == sorted(uids)


def test_the_stack_knows_these_uids(catalogue: Catalogue) -> None:
    core = {image.name: image.uid for image in catalogue.images.values() if image.group == "core"}
    assert core == {"postgres": 10070, "redis": 10071, "caddy": 10072, "app": 10073}


@pytest.mark.parametrize("image", load_catalogue(ROOT).images.values(), ids=lambda image: image.name)
def test_the_recipe_says_what_the_catalogue_says(image: object) -> None:
    known = load_catalogue(ROOT).images[image.name]  # type: ignore[attr-defined]
    lines = (ROOT / known.directory / "Dockerfile").read_text().splitlines()
    uid = known.uid or 0
    assert [line for line in lines if line.startswith("USER")][-1] == f"USER {uid}:{uid}"
    exposed = [word for line in lines if line.startswith("EXPOSE") for word in line.split()[1:]]
    assert [int(port) for port in exposed if port.isdecimal()] == list(known.ports)


def test_select_adds_parents_and_keeps_the_order(catalogue: Catalogue) -> None:
    assert [image.name for image in catalogue.select(["redis", "postgres"])] == ["base", "postgres", "redis"]


def test_select_of_a_group(catalogue: Catalogue) -> None:
    names = [image.name for image in catalogue.select(group="core")]
    assert names == ["base", "postgres", "redis", "caddy", "app"]


def test_select_of_nothing_is_everything(catalogue: Catalogue) -> None:
    assert [image.name for image in catalogue.select()] == list(catalogue.images)


def test_an_unknown_image_is_a_usage_error_that_names_the_known_ones(catalogue: Catalogue) -> None:
    with pytest.raises(GadError, match="no image is called pstgres") as caught:
        catalogue.select(["pstgres"])
    assert caught.value.exit_code == Exit.USAGE
    assert "postgres" in caught.value.remedy


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    uid: 10071", "    uuid: 10071", r"images\.redis\.(uid|uuid)"),
        ("    uid: 10071", "    uid: 0", r"images\.redis\.uid"),
        ("group: core", "group: kernel", r"images\.postgres\.group"),
        ("parent: base", "parent: bass", "parent bass must stand before it"),
        ("debian@sha256:", "debian:", r"root\.upstream"),
        ("images:\n", "images: [\n", "cannot be read"),
    ],
)
def test_a_wrong_catalogue_is_refused_with_its_path(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(GadError, match=said):
        load_catalogue(write(tmp_path, TEXT.replace(old, new)))
