"""Downloads in the shapes that their makers give them, laid out: what goes where, what is refused, going on."""

import base64
import hashlib
import json
import re
import zipfile

import cv2
import numpy as np
import pytest

from measure.io import InputError, read_mask
from tests.helpers.processes import in_a_process
from utils.commands.prepare import main
from utils.data import find_pairs
from utils.data.clip_dataset import find_cases
from utils.prediction.outputs.contours import outlines
from utils.preparation import SOURCES, layout
from utils.preparation.annotations import decoded_counts, fill_centers
from utils.preparation.samples import place

pytestmark = pytest.mark.usefixtures("any_number")


@pytest.fixture
def any_number(monkeypatch):
    """Small imitations do not have the published number of images."""
    monkeypatch.setattr(layout, "check_number", lambda *args, **options: None)


def picture(path, seed, *, mask=False, color=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pixels = np.zeros((32, 40, 3), np.uint8)
    if mask:
        x, y = rng.integers(2, 16, 2)
        pixels[y : y + 12, x : x + 14] = color or (255, 255, 255)
    else:
        pixels[:] = cv2.resize(rng.integers(256, size=(6, 8, 3), dtype=np.uint8), (40, 32))
    assert cv2.imwrite(str(path), pixels if mask and color or not mask else pixels[..., 0])
    return path


def fill(root, images, masks, stems, *, suffixes=("jpg", "jpg"), before="", after="", color=None, start=0):
    for number, stem in enumerate(stems):
        picture(root / images / f"{stem}.{suffixes[0]}", start + number)
        picture(root / masks / f"{before}{stem}{after}.{suffixes[1]}", start + number, mask=True, color=color)


def packed(root):
    archive = root.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(root.rglob("*")):
            file.write(path, path.relative_to(root.parent))
    return archive


PNG = {"suffixes": ("png", "png")}
SHAPES = {
    "kvasir-seg": [("Kvasir-SEG", ("Kvasir-SEG/images", "Kvasir-SEG/masks", ["cju1", "cju2"]), {})],
    "kvasir-sessile": [
        ("Kvasir-Sessile", ("sessile-main-Kvasir-SEG/images", "sessile-main-Kvasir-SEG/masks", ["a"]), {})
    ],
    "clinicdb": [
        ("CVC-ClinicDB", ("CVC-ClinicDB/Original", "CVC-ClinicDB/Ground Truth", "12"), {"suffixes": ("tif", "tif")})
    ],
    "colondb": [("CVC-ColonDB", ("CVC-ColonDB", "CVC-ColonDB", "123"), {"before": "p", "suffixes": ("tiff", "tiff")})],
    "etis": [
        (
            "ETIS-LaribPolypDB",
            ("x/ETIS-LaribPolypDB", "x/Ground Truth", "12"),
            {"before": "p", "suffixes": ("tif", "tif")},
        )
    ],
    "endoscene": [
        ("EndoScene-CVC-300", ("CVC-300/bbdd", "CVC-300/gtpolyp", "12"), {"suffixes": ("bmp", "bmp")}),
        ("EndoScene-CVC-612", ("CVC-612/bbdd", "CVC-612/gtpolyp", "12"), {"suffixes": ("bmp", "bmp"), "start": 9}),
    ],
    "bkai": [("BKAI-IGH", ("train/train", "train_gt/train_gt", ["0a", "0b"]), {"color": (2, 3, 251)})],
    "polypdb": [
        (
            f"PolypDB/{kind}",
            (f"P/PolypDB_{by}_wise/{kind}/images", f"P/PolypDB_{by}_wise/{kind}/masks", ["a 1"]),
            {"start": n},
        )
        for n, (by, kind) in enumerate([("modality", "NBI"), ("modality", "WLI"), ("center", "Simula")])
    ],
    "hyperkvasir": [("HyperKvasir-segmented", ("segmented-images/images", "segmented-images/masks", ["a", "b"]), {})],
    "pranet-train": [("TrainDataset", ("TrainDataset/image", "TrainDataset/mask", "12"), {"suffixes": ("png", "png")})],
    "pranet-test": [
        (
            f"TestDataset/{n}",
            (f"TestDataset/{n}/images", f"TestDataset/{n}/masks", "12"),
            {"suffixes": ("png", "png"), "start": s},
        )
        for s, n in ((0, "CVC-300"), (5, "Kvasir"))
    ],
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("unpacked", [False, True])
def test_pairs_of_folders_come_out_as_images_and_masks(name, unpacked, tmp_path, capsys):
    download = tmp_path / "download"
    for _, places, options in SHAPES[name]:
        fill(download, *places, **options)
    given = download if unpacked else packed(download)
    main([name, "--from", str(given), "--to", str(tmp_path / "data"), "--no-check"])
    for folder, (images, masks, stems), options in SHAPES[name]:
        if "center" in images:
            assert not (tmp_path / "data" / folder).exists()
            continue
        pairs = find_pairs(tmp_path / "data" / folder)
        assert [pair.stem for pair in pairs] == [stem.replace(" ", "_") for stem in stems]
        for pair, stem in zip(pairs, stems, strict=True):
            source = download / images / f"{stem}.{options.get('suffixes', ['jpg'])[0]}"
            assert pair.image.suffix == (".png" if source.suffix.startswith(".tif") else source.suffix)
            assert (pair.read_image() == cv2.imread(str(source))[..., ::-1]).all()
            original = download / masks / f"{options.get('before', '')}{stem}.{options.get('suffixes', [0, 'jpg'])[1]}"
            if name == "bkai":
                assert pair.mask.read_bytes() == original.read_bytes()
            else:
                assert (pair.read_mask() == read_mask(original)).all() and pair.read_mask().max() > 128
    manifest = json.loads((tmp_path / "data" / f"{name}.manifest.json").read_text())
    for path, entry in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "data" / path).read_bytes()).hexdigest() == entry["sha256"]
    if not unpacked:
        assert manifest["downloads"][0]["sha256"] == hashlib.sha256(given.read_bytes()).hexdigest()
    assert not list((tmp_path / "data").glob(".*")), "nothing unpacked is left"


def test_a_color_tiff_that_pillow_cannot_open_becomes_a_png(tmp_path):
    """ClinicDB's: three channels, marked as a grey picture where black is zero."""
    root = tmp_path / "CVC-ClinicDB"
    fill(root, "Original", "Ground Truth", "1", suffixes=("tif", "tif"))
    path = root / "Original" / "1.tif"
    cv2.imwrite(str(path), cv2.imread(str(path)), [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    content = path.read_bytes()
    entry = (262).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little")  # photometric
    at = content.index(entry) + 8
    path.write_bytes(content[:at] + (1).to_bytes(2, "little") + content[at + 2 :])
    assert main(["clinicdb", "--from", str(root), "--to", str(tmp_path / "data"), "--no-check"]) == 0
    (pair,) = find_pairs(tmp_path / "data" / "CVC-ClinicDB")
    assert pair.image.name == "1.png" and (pair.read_image() == cv2.imread(str(path))[..., ::-1]).all()


def test_polypgen_has_centers_and_sequences_with_and_without_polyps(tmp_path, capsys):
    root = tmp_path / "PolypGen2021_MultiCenterData_v3"
    fill(root, "data_C1/images_C1", "data_C1/masks_C1", ["100H 0001", "100H0002"], after="_mask")
    fill(
        root,
        "sequenceData/positive/seq1/images_seq1",
        "sequenceData/positive/seq1/masks_seq1",
        ["C1_1"],
        after="_mask",
        start=5,
    )
    picture(root / "sequenceData" / "negativeOnly" / "seq4_neg" / "C4 1.jpg", 8)
    main(["polypgen", "--from", str(packed(root)), "--to", str(tmp_path / "data")])
    assert [pair.stem for pair in find_pairs(tmp_path / "data" / "PolypGen" / "C1")] == ["100H0002", "100H_0001"]
    cases = find_cases(tmp_path / "data" / "PolypGen-sequences")
    assert [(case.name, case.frames[0].read_mask().any()) for case in cases] == [("seq1", True), ("seq4_neg", False)]


def test_boxes_of_ldpolypvideo_are_filled(tmp_path):
    root = tmp_path / "LD"
    picture(root / "Test" / "Images" / "7" / "1.jpg", 0)
    picture(root / "Test" / "Images" / "7" / "2.jpg", 1)
    (root / "Test" / "Annotations" / "7").mkdir(parents=True)
    (root / "Test" / "Annotations" / "7" / "1.txt").write_text("1\n3 4 9 20\n")
    (root / "Test" / "Annotations" / "7" / "2.txt").write_text("0\n")
    assert main(["ldpolypvideo", "--from", str(root), "--to", str(tmp_path / "data"), "--no-check"]) == 0
    (case,) = find_cases(tmp_path / "data" / "LDPolypVideo" / "Test")
    first, second = (pair.read_mask() for pair in case.frames)
    assert first[4:21, 3:10].all() and np.count_nonzero(first) == 17 * 7 and not second.any()
    (root / "Test" / "Annotations" / "7" / "2.txt").write_text("2\n1 2 3 4\n")
    assert main(["ldpolypvideo", "--from", str(root), "--to", str(tmp_path / "other"), "--no-check"]) == 2


def test_coco_polygons_and_run_lengths_are_drawn(tmp_path, capsys):
    for number in (1, 2, 3):
        picture(tmp_path / "images" / f"{number}.jpg", number)
    sizes = {"height": 32, "width": 40}
    column = 32  # the runs go down the columns: two columns from row 0 on, after three columns of background
    content = {
        "images": [{"id": n, "file_name": f"train/{n}.jpg", **sizes} for n in (1, 2, 3)],
        "categories": [{"id": 1, "name": "polyp"}, {"id": 2, "name": "tool"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "segmentation": [[4, 5, 14, 5, 14, 9, 4, 9]]},
            {"image_id": 1, "category_id": 2, "segmentation": [[20, 20, 30, 20, 30, 30, 20, 30]]},
            {
                "image_id": 2,
                "category_id": 1,
                "segmentation": {"size": [32, 40], "counts": [3 * column, 2 * column, 35 * column]},
            },
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    flags = ["--from", str(tmp_path / "a.json"), str(tmp_path / "images"), "--to", str(tmp_path / "data")]
    assert main(["coco", *flags, "--name", "Ours", "--categories", "polyp", "--no-check"]) == 0
    first, second, third = (pair.read_mask() for pair in find_pairs(tmp_path / "data" / "Ours"))
    assert first[5:9, 4:14].all() and np.count_nonzero(first) == 4 * 10, "10 pixels wide, 4 high, as pycocotools has it"
    assert second[:, 3:5].all() and np.count_nonzero(second) == 64 and not third.any()
    assert main(["coco", *flags, "--name", "Ours", "--categories", "polip"]) == 2
    assert "a.json has no category polip; it has polyp, tool" in capsys.readouterr().err
    assert main(["coco", *flags]) == 2
    assert "give the set a name that a folder can have, as --name Ours" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(4))
def test_outlines_as_they_are_written_give_the_mask_back(seed):
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random((30, 40), np.float32), (0, 0), 2)
    mask = (noise > np.median(noise)).astype(np.uint8)
    back = np.zeros_like(mask)
    for rings in outlines(mask > 0):
        single = np.zeros_like(mask)
        for ring in rings:  # the outer one, then its holes
            part = np.zeros_like(mask)
            fill_centers(part, ring.astype(float))
            single ^= part
        back |= single
    assert np.array_equal(back > 0, mask > 0)


@pytest.mark.parametrize(
    ("points", "rows"),
    [
        ([(1, 1), (4, 1), (4, 3), (1, 3)], {1: [1, 2, 3], 2: [1, 2, 3]}),
        ([(1.4, 1.4), (3.6, 1.4), (3.6, 2.6), (1.4, 2.6)], {1: [1, 2, 3], 2: [1, 2, 3]}),  # its outermost centers: .5
        ([(1.6, 1.6), (3.4, 1.6), (3.4, 2.4), (1.6, 2.4)], {}),  # it reaches no row's centers
        ([(0, 0), (4, 0), (0, 4)], {0: [0, 1, 2], 1: [0, 1], 2: [0]}),  # centers on its slope are outside
        ([(-9, -9), (2, -9), (2, 2), (-9, 2)], {0: [0, 1], 1: [0, 1]}),
        ([(4, 4), (9, 4), (9, 9), (4, 9)], {4: [4, 5]}),
        ([(1, 1), (4, 4)], {}),
        ([(2, 2)], {}),
    ],
)
def test_a_pixel_belongs_to_a_polygon_that_has_its_center(points, rows):
    mask = np.zeros((5, 6), np.uint8)
    fill_centers(mask, np.array(points, float))
    found = {row: np.flatnonzero(mask[row]).tolist() for row in range(5) if mask[row].any()}
    assert found == rows and set(np.unique(mask)) <= {0, 255}


@pytest.fixture
def annotated(tmp_path):
    """Prepare one COCO image, 40 x 32, from its segmentation; returns status and what was said."""

    def run(capsys, segmentation, *flags, size=(32, 40), name="1.jpg", category=1):
        if not (tmp_path / "images").exists():
            picture(tmp_path / "images" / "1.jpg", 1)
        content = {
            "images": [{"id": 1, "file_name": name, "height": size[0], "width": size[1]}],
            "categories": [{"id": 1, "name": "polyp"}, {"id": 2, "name": "tool"}],
            "annotations": [{"image_id": 1, "category_id": category, "segmentation": segmentation}],
        }
        (tmp_path / "a.json").write_text(json.dumps(content))
        places = ["--from", str(tmp_path / "a.json"), str(tmp_path / "images"), "--to", str(tmp_path / "data")]
        status = main(["coco", *places, "--name", "Ours", "--no-check", *flags])
        return status, capsys.readouterr().err

    return run


BOX = [[4, 5, 14, 5, 14, 9, 4, 9]]


def mask_in(folder):
    (pair,) = find_pairs(folder / "data" / "Ours")
    return pair.read_mask()


@pytest.mark.parametrize("far", [float("nan"), float("inf"), 1e300, -1e7])
def test_points_that_lie_nowhere_are_refused(far, annotated, tmp_path, capsys):
    status, told = annotated(capsys, [[4, 5, 14, 5, 14, far]])
    assert status == 2 and "a.json has a shape that cannot be drawn (it has a point that is no number or over" in told
    assert not list((tmp_path / "data").rglob("*.png"))


@pytest.mark.parametrize(
    ("segmentation", "fault"),
    [
        ([], "has no outline, at most a box"),
        (None, "has no outline, at most a box"),
        ([[4, 5, 14, 5]], "has an outline of fewer than three points"),
        ([4, 5, 14, 5, 14, 9], "has numbers where a list of polygons is expected"),
    ],
)
def test_a_polyp_without_an_outline_is_refused_and_not_drawn_as_background(
    segmentation, fault, annotated, tmp_path, capsys
):
    status, told = annotated(capsys, segmentation)
    assert status == 2 and f"a.json: annotation 1, of 1.jpg, {fault}, and no mask can be drawn of it; correct" in told
    assert not (tmp_path / "data" / "Ours").exists()
    status, told = annotated(capsys, segmentation, "--categories", "tool")
    assert status == 0 and not mask_in(tmp_path).any(), "it is not among those that are asked for"


@pytest.mark.parametrize("x", [41, -9])
def test_shapes_outside_of_their_image_are_refused(x, annotated, capsys):
    status, told = annotated(capsys, [[x, 5, x + 4, 5, x + 4, 9]])
    assert (
        status == 2
        and "a.json has a shape that cannot be drawn (it lies outside of 1.jpg); correct it in the tool" in told
    )


def test_annotations_of_what_is_not_listed_are_refused(annotated, tmp_path, capsys):
    status, told = annotated(capsys, BOX, category=7)
    assert status == 2 and "a.json: annotation 1 is of category 7, which it does not list; export" in told
    content = json.loads((tmp_path / "a.json").read_text())
    flags = ["--from", str(tmp_path / "a.json"), str(tmp_path / "images"), "--to", str(tmp_path / "b"), "--name", "O"]
    content["annotations"][0] |= {"image_id": 5, "category_id": 1}
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert main(["coco", *flags]) == 2
    assert "a.json: annotation 1 is of image 5, which it does not list" in capsys.readouterr().err
    content["images"] *= 2
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert main(["coco", *flags]) == 2 and "a.json gives two images one id" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: content["images"][0].update(height="tall"), "a.json is no COCO file (ValueError: invalid lit"),
        (lambda content: content["images"][0].update(file_name=None), "a.json is no COCO file (AttributeError"),
        (lambda content: content.update(images=[], annotations=[]), "a.json lists no images; export it again, with"),
        (
            lambda content: content["annotations"][0].update(segmentation={"size": [10**9] * 2, "counts": [10**18]}),
            "a.json has a shape that cannot be drawn (its run lengths are of another size than 1.jpg)",
        ),
    ],
)
def test_what_is_no_coco_file_ends_with_a_sentence(change, sentence, annotated, tmp_path, capsys):
    assert annotated(capsys, BOX)[0] == 0
    content = json.loads((tmp_path / "a.json").read_text())
    change(content)
    (tmp_path / "a.json").write_text(json.dumps(content))
    flags = ["--from", str(tmp_path / "a.json"), str(tmp_path / "images"), "--to", str(tmp_path / "b"), "--name", "O"]
    assert main(["coco", *flags]) == 2 and sentence in capsys.readouterr().err


def test_links_become_copies_where_those_are_asked_for(annotated, tmp_path, capsys):
    laid_out = tmp_path / "data" / "Ours" / "images" / "1.jpg"
    for flag, linked in (("--link", True), ("--no-link", False), ("--link", True)):
        assert annotated(capsys, BOX, flag)[0] == 0 and laid_out.is_symlink() == linked
        assert laid_out.read_bytes() == (tmp_path / "images" / "1.jpg").read_bytes()


def test_files_as_tools_on_windows_write_them_are_read(annotated, tmp_path, capsys):
    assert annotated(capsys, BOX, name="images\\1.jpg")[0] == 0
    assert np.count_nonzero(mask_in(tmp_path)) == 40
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text(), encoding="utf-8-sig")
    flags = ["--from", str(tmp_path / "a.json"), str(tmp_path / "images"), "--to", str(tmp_path / "b")]
    assert main(["coco", *flags, "--name", "Ours", "--no-check"]) == 0


def test_images_that_no_annotation_file_speaks_of_are_told(annotated, tmp_path, capsys):
    status, told = annotated(capsys, BOX)
    assert status == 0 and "note" not in told
    picture(tmp_path / "images" / "2.jpg", 2)
    status, told = annotated(capsys, BOX)
    assert status == 0 and "note: 1 of 2 images is in no annotation file and left out, first 2.jpg; those with" in told


def test_annotations_of_another_size_are_refused(annotated, capsys):
    status, told = annotated(capsys, BOX, size=(40, 32))
    assert status == 2 and "says that 1.jpg has 32 x 40 pixels, and it has 40 x 32 (width x height); give the" in told


def test_masks_are_drawn_again_where_annotations_changed_and_kept_where_somebody_edited_them(
    annotated, tmp_path, capsys
):
    assert annotated(capsys, BOX, "--categories", "tool")[0] == 0 and not mask_in(tmp_path).any()
    status, told = annotated(capsys, BOX, "--categories", "polyp")
    assert status == 0 and mask_in(tmp_path).any() and "1 file is not as an earlier run laid them out" in told
    edited = tmp_path / "data" / "Ours" / "masks" / "1.png"
    cv2.imwrite(str(edited), np.full((32, 40), 255, np.uint8))
    status, told = annotated(capsys, BOX, "--categories", "tool")
    assert status == 0 and mask_in(tmp_path).all() and "Ours/masks/1.png" in told


@pytest.mark.parametrize("name", ["masks/1.png", "images/1.jpg"])
def test_files_that_were_there_before_the_first_run_are_not_replaced(name, annotated, tmp_path, capsys):
    own = tmp_path / "data" / "Ours" / name
    own.parent.mkdir(parents=True)
    own.write_bytes(b"hours of work")
    status, told = annotated(capsys, BOX)
    assert status == 2 and f"{own} is there and is another file than would be laid out, and no manifest of an" in told
    assert own.read_bytes() == b"hours of work"
    own.unlink()
    assert annotated(capsys, BOX)[0] == 0


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "folder.jpg").mkdir()  # whoever runs the tests may read every file
    with pytest.raises(InputError, match=r"cannot read .*folder.jpg \(Is a directory\); change its rights"):
        place(tmp_path / "folder.jpg", tmp_path / "1.jpg", copy=True)
    assert not (tmp_path / "1.jpg").exists()


def test_images_of_one_name_are_told_apart_by_their_path_or_refused(annotated, tmp_path, capsys):
    for center in ("a", "b"):
        picture(tmp_path / "images" / center / "1.jpg", ord(center))
    assert annotated(capsys, BOX, name="b/1.jpg")[0] == 0
    laid_out = tmp_path / "data" / "Ours" / "images" / "1.jpg"
    assert laid_out.read_bytes() == (tmp_path / "images" / "b" / "1.jpg").read_bytes()
    status, told = annotated(capsys, BOX)
    assert status == 2 and "a.json may speak of" in told and "give only the folder that it belongs to" in told


def test_another_download_never_mixes_with_what_a_failed_one_left(tmp_path, capsys):
    fill(tmp_path / "wrong", "images", "other", ["a", "b"])  # no folder of masks
    fill(tmp_path / "right", "images", "masks", ["b", "c"])
    data = tmp_path / "data"
    command = ["kvasir-seg", "--to", str(data), "--no-check", "--partial", "--from"]
    assert main([*command, str(packed(tmp_path / "wrong"))]) == 2
    assert main([*command, str(packed(tmp_path / "right"))]) == 0
    assert sorted(path.stem for path in (data / "Kvasir-SEG" / "images").iterdir()) == ["b", "c"]
    assert (data / "Kvasir-SEG/images/b.jpg").read_bytes() == (tmp_path / "right/images/b.jpg").read_bytes()


def test_compressed_run_lengths_by_hand():
    """The example in the head of pycocotools' maskApi.h: runs 6 1 40 4 5 4 5 4 21 as 61X13mN000`0."""
    runs = [6, 1, 40, 4, 5, 4, 5, 4, 21]
    mask = decoded_counts(runs, (9, 10))
    assert mask.T.ravel().tolist() == [value for n, run in enumerate(runs) for value in [n % 2] * run]
    assert (decoded_counts("61X13mN000`0", (9, 10)) == mask).all()


def test_labelme_shapes_are_drawn(tmp_path):
    picture(tmp_path / "in" / "1.jpg", 0)
    shapes = [
        {"label": "polyp", "shape_type": "rectangle", "points": [[2, 3], [6, 8]]},
        {"label": "tool", "shape_type": "polygon", "points": [[20, 20], [30, 20], [25, 30]]},
    ]
    (tmp_path / "in" / "1.json").write_text(json.dumps({"shapes": shapes, "imageHeight": 32, "imageWidth": 40}))
    flags = ["--from", str(tmp_path / "in"), "--to", str(tmp_path / "data"), "--name", "Ours", "--no-check"]
    assert main(["labelme", *flags, "--categories", "polyp"]) == 0
    (pair,) = find_pairs(tmp_path / "data" / "Ours")
    assert pair.read_mask()[3:9, 2:7].all() and np.count_nonzero(pair.read_mask()) == 6 * 5


def labelme_mask(pixels, left, top):
    """A shape of labelme's assistant: the pixels of a box as PNG, and the box's first and last column and row."""
    _, encoded = cv2.imencode(".png", pixels)
    points = [[left, top], [left + pixels.shape[1] - 1, top + pixels.shape[0] - 1]]
    return {"shape_type": "mask", "points": points, "mask": base64.b64encode(encoded.tobytes()).decode()}


def test_labelme_masks_lie_in_their_boxes(tmp_path):
    picture(tmp_path / "in" / "1.jpg", 0)
    disc = cv2.circle(np.zeros((9, 7), np.uint8), (3, 4), 3, 255, -1)
    shapes = [
        {"label": "polyp", **labelme_mask(disc, *corner)} for corner in ((0, 0), (33, 23))
    ]  # up to the last pixel
    (tmp_path / "in" / "1.json").write_text(json.dumps({"shapes": shapes, "imageHeight": 32, "imageWidth": 40}))
    flags = ["--from", str(tmp_path / "in"), "--to", str(tmp_path / "data"), "--name", "Ours", "--no-check"]
    assert main(["labelme", *flags]) == 0
    (pair,) = find_pairs(tmp_path / "data" / "Ours")
    expected = np.zeros((32, 40), np.uint8)
    expected[:9, :7] = expected[23:, 33:] = disc
    assert (pair.read_mask() == expected).all()


@pytest.mark.parametrize(
    ("shape", "fault"),
    [
        (labelme_mask(np.zeros((2, 2), np.uint8), 3, 3), "a mask that is no picture of its box, or an empty one"),
        ({**labelme_mask(np.ones((2, 2), np.uint8), 3, 3), "mask": "no"}, "a mask that is no picture of its box"),
        ({**labelme_mask(np.ones((2, 2), np.uint8), 3, 3), "points": [[3, 3], [5, 4]]}, "no picture of its box"),
        (labelme_mask(np.ones((2, 2), np.uint8), 39, 3), "a mask that lies outside of the image"),
        ({"shape_type": "mask", "points": [[3, 3], [4, 4]]}, "a mask that is no picture of its box"),
        ({"shape_type": "linestrip", "points": [[2, 3], [6, 8], [9, 9]]}, "a linestrip encloses nothing"),
        ({"shape_type": "polygon", "points": [[2, 3], [6, 8]]}, "a polygon of 2 points encloses nothing"),
        ({"points": []}, "a polygon of 0 points encloses nothing"),
    ],
)
def test_labelme_shapes_without_an_inside_are_refused(shape, fault, tmp_path, capsys):
    picture(tmp_path / "in" / "1.jpg", 0)
    content = {"shapes": [{"label": "polyp", **shape}], "imageHeight": 32, "imageWidth": 40}
    (tmp_path / "in" / "1.json").write_text(json.dumps(content))
    assert main(["labelme", "--from", str(tmp_path / "in"), "--to", str(tmp_path / "data"), "--name", "Ours"]) == 2
    assert re.search(rf"1.json has a shape that cannot be drawn \([^()]*{fault}[^()]*\)", capsys.readouterr().err)


def test_two_commands_at_once_are_refused_and_the_first_is_not_disturbed(tmp_path, capsys, monkeypatch):
    fill(tmp_path / "k", "images", "masks", ["a", "b"])
    data = tmp_path / "data"
    command = ["kvasir-seg", "--from", str(packed(tmp_path / "k")), "--to", str(data), "--no-check"]
    others = []

    def check_number(*args, **options):  # in the middle of the first one; record locks hold between processes
        others.append(in_a_process(main, command))

    monkeypatch.setattr(layout, "check_number", check_number)
    assert main(command) == 0 and others == [2]
    assert sorted(path.name for path in data.iterdir()) == ["Kvasir-SEG", "kvasir-seg.manifest.json"]


def test_what_was_never_unpacked_leaves_no_folder(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["kvasir-seg", "--from", str(tmp_path / "empty"), "--to", str(tmp_path / "data")]) == 2
    assert not list((tmp_path / "data").iterdir())


def test_a_second_run_changes_nothing_and_one_cut_short_goes_on(tmp_path, capsys):
    fill(tmp_path / "k", "images", "masks", ["a", "b", "c"])
    archive, data = packed(tmp_path / "k"), tmp_path / "data"
    command = ["kvasir-seg", "--from", str(archive), "--to", str(data), "--no-check"]
    assert main(command) == 0
    images = data / "Kvasir-SEG" / "images"
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*.jpg")}
    manifest = (data / "kvasir-seg.manifest.json").read_bytes()
    (images / "b.jpg").unlink()
    (images / "c.jpg").write_bytes(b"cut off")
    assert main(command) == 0
    assert (data / "kvasir-seg.manifest.json").read_bytes() == manifest
    kept = {path for path in before if path.stat().st_mtime_ns == before[path]}
    assert len(before) - len(kept) == 2
    mask = data / "Kvasir-SEG" / "masks" / "a.jpg"
    content = bytearray(mask.read_bytes())
    content[-30] ^= 1
    mask.write_bytes(content)  # of the same length, as a disk's fault or an edit may leave it
    capsys.readouterr()
    assert main(command) == 0
    assert "1 file is not as an earlier run laid them out, first Kvasir-SEG/masks/a.jpg" in capsys.readouterr().err


def test_images_beside_those_of_the_set_are_refused_and_kept(tmp_path, capsys):
    fill(tmp_path / "k", "images", "masks", ["a", "b", "c"])
    data = tmp_path / "data"
    command = ["kvasir-seg", "--from", str(tmp_path / "k"), "--to", str(data), "--no-check", "--partial"]
    assert main(command) == 0
    for folder in ("images", "masks"):
        (tmp_path / "k" / folder / "c.jpg").unlink()
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(command) == 2
    told = capsys.readouterr().err
    assert f"{data} holds 2 images that are no part of the set, of an earlier run or your own, first" in told
    assert "Kvasir-SEG/images/c.jpg, Kvasir-SEG/masks/c.jpg; move them elsewhere, or choose another --to" in told
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before
    for folder in ("images", "masks"):
        (data / "Kvasir-SEG" / folder / "c.jpg").rename(tmp_path / f"{folder}.jpg")
    (data / "Kvasir-SEG" / "images" / "notes.txt").touch()
    (data / "Kvasir-SEG" / "images" / ".c.jpg").touch()  # hidden: nothing reads it
    assert main(command) == 0
    assert "no part of the set" not in capsys.readouterr().err


def test_the_check_at_the_end_gives_the_status(tmp_path, capsys):
    fill(tmp_path / "k", "images", "masks", ["a", "b"])
    (tmp_path / "k" / "images" / "b.jpg").write_bytes((tmp_path / "k" / "images" / "b.jpg").read_bytes()[:300])
    assert main(["hyperkvasir", "--from", str(tmp_path / "k"), "--to", str(tmp_path / "data")]) == 1
    assert "b.jpg" in capsys.readouterr().out


def test_links_point_to_the_download(tmp_path, capsys):
    fill(tmp_path / "k", "images", "masks", ["a"])
    flags = ["kvasir-seg", "--to", str(tmp_path / "data"), "--link", "--no-check", "--from"]
    assert main([*flags, str(tmp_path / "k")]) == 0
    (pair,) = find_pairs(tmp_path / "data" / "Kvasir-SEG")
    assert pair.image.is_symlink() and pair.image.resolve() == tmp_path / "k" / "images" / "a.jpg"
    assert main([*flags, str(packed(tmp_path / "k"))]) == 2
    assert "--link was given, but" in capsys.readouterr().err


def test_mistakes(tmp_path, capsys, monkeypatch):
    fill(tmp_path / "k", "images", "masks", ["a", "b"])
    (tmp_path / "k" / "masks" / "b.jpg").unlink()
    to = ["--to", str(tmp_path / "data")]
    for words, message in [
        (["kvasir-sge"], "unknown data set kvasir-sge: did you mean kvasir-seg?"),
        (["kvasir-seg", "--from", str(tmp_path / "no.zip")], "there is no"),
        (["kvasir-seg", "--from", str(tmp_path / "k")], "1 image has no mask (b), 0 masks no image"),
        (["kvasir-seg", "--from", str(tmp_path / "k" / "masks")], "holds no images/ and masks/ or image/ and mask/"),
        (["kvasir-seg", "--name", "x", "--from", str(tmp_path / "k")], "--name and --categories are for coco"),
        (["kvasir-seg", "--from", str(tmp_path), "--to", str(tmp_path / "k" / "x")], "would be written to"),
        (["sun-seg", "--from", str(tmp_path / "k")], "0 folders with TrainDataset/ and 1 others were given"),
        (["coco", "--name", "x"], "give the files of coco with --from"),
    ]:
        assert main([*to, *words]) == 2, words
        assert message in capsys.readouterr().err, words
    monkeypatch.undo()
    (tmp_path / "k" / "images" / "b.jpg").unlink()
    assert main(["kvasir-seg", "--from", str(tmp_path / "k"), *to, "--no-check"]) == 2
    assert "1 image with its mask was found, 1000 are published; complete the download" in capsys.readouterr().err
    assert main(["kvasir-seg", "--from", str(tmp_path / "k"), *to, "--no-check", "--partial"]) == 0


def test_without_a_download_it_says_where_to_get_one(capsys):
    assert main([]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(SOURCES)
    assert main(["bkai"]) == 0
    told = capsys.readouterr().out
    assert "kaggle.com" in told and "--classes neoplastic=255,0,0" in told and "prepare bkai --from DOWNLOAD" in told
