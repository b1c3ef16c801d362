"""Split files: exact sizes, whole groups, and what the commands do with the names in them."""

import numpy as np
import pytest

from measure.io import InputError, group_reader, pattern_reader
from utils.commands import split
from utils.commands.train_flags import parse_train_args
from utils.data.draws import fold_names, part_sizes, split_names
from utils.data.splits import check_known, read_split
from utils.training.tasks import task_of

NAMES = [str(n) for n in range(1, 101)]


@pytest.mark.parametrize(
    ("texts", "sizes"),
    [
        (["train=70", "val=10", "test=20"], [70, 10, 20]),
        (["train=80%", "val=10%", "test=10%"], [80, 10, 10]),
        (["train=70", "val=rest"], [70, 30]),
        (["train=rest", "val=12.5%"], [88, 12]),
        (["train=7"], [7]),
    ],
)
def test_sizes_are_read_and_kept_exactly(texts, sizes):
    wanted = part_sizes(texts, 100)
    parts = split_names(NAMES, wanted, seed=0)
    assert [len(parts[text.split("=")[0]]) for text in texts] == sizes
    names = [name for part in parts.values() for name in part]
    assert len(set(names)) == len(names)


def test_percentages_of_100_use_every_name():
    for total in range(10, 200):
        assert sum(part_sizes(["a=80%", "b=10%", "c=10%"], total).values()) == total


def test_the_seed_decides_and_parts_are_drawn_from_everywhere():
    sizes = {"train": 80, "test": 20}
    parts = split_names(NAMES, sizes, seed=3)
    assert parts == split_names(NAMES, sizes, seed=3)
    assert parts != split_names(NAMES, sizes, seed=4)
    drawn = [int(name) for seed in range(50) for name in split_names(NAMES, sizes, seed=seed)["test"]]
    assert sum(drawn) / len(drawn) == pytest.approx(50.5, abs=3)


def test_no_group_stands_on_both_sides(tmp_path):
    """Sequences of 13 frames among single images: parts are exact, as the single ones fill them up."""
    (tmp_path / "clips.txt").write_text("1 13\n14 26\n27 39\n40 52\n")
    group_of = group_reader(tmp_path / "clips.txt")
    for seed in range(20):
        parts = split_names(NAMES, {"train": 70, "val": 10, "test": 20}, seed=seed, group_of=group_of)
        assert [len(names) for names in parts.values()] == [70, 10, 20]
        where = {}
        for part, names in parts.items():
            for name in names:
                assert where.setdefault(group_of(name) or name, part) == part
    assert len({group_of(name) or name for name in NAMES}) == 4 + 48


def test_parts_that_do_not_use_every_name_are_drawn_from_groups_and_single_names_alike(tmp_path):
    (tmp_path / "clips.txt").write_text("1 10\n11 20\n21 30\n31 40\n41 50\n")
    group_of = group_reader(tmp_path / "clips.txt")
    drawn = []
    for seed in range(100):
        parts = split_names(NAMES, {"train": 20, "test": 10}, seed=seed, group_of=group_of)
        drawn += [int(name) <= 50 for names in parts.values() for name in names]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.1)


def test_groups_alone_use_every_name_and_come_near_the_sizes():
    group_of = pattern_reader(r"^case(\d+)")
    names = [f"case{case}_{frame}" for case in range(20) for frame in range(3 + case % 4)]
    parts = split_names(names, part_sizes(["train=80%", "test=20%"], len(names)), seed=0, group_of=group_of)
    assert sorted(parts["train"] + parts["test"]) == sorted(names)
    assert not {group_of(n) for n in parts["train"]} & {group_of(n) for n in parts["test"]}
    assert abs(len(parts["test"]) - 0.2 * len(names)) <= 6


def test_groups_are_read_from_a_table(tmp_path):
    (tmp_path / "patients.csv").write_text("a.jpg,p1\nb,p1\nc,p2\n")
    group_of = group_reader(tmp_path / "patients.csv")
    assert [group_of(name) for name in "abcd"] == ["p1", "p1", "p2", None]


def test_names_are_read_with_and_without_suffix(tmp_path):
    (tmp_path / "s.txt").write_text("# a remark\r\n1.jpg\r\n\n  # another\n 2.v1 \n3.PNG\n1\n", encoding="utf-8-sig")
    assert read_split(tmp_path / "s.txt") == ["1", "2.v1", "3"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["train"], "'train' was given; expected parts"),
        (["train=1", "train=2"], "expected parts of different names"),
        (["train=101"], "does not fit 100 names"),
        (["train=100", "val=rest"], "does not fit 100 names"),
        (["a=rest", "b=rest"], "one may be the rest"),
    ],
)
def test_sizes_that_cannot_be_are_refused(texts, message):
    with pytest.raises(InputError, match=message):
        part_sizes(texts, 100)


@pytest.fixture(scope="module")
def data(stills):
    return stills(count=10, seed=0, size=(64, 80))


def test_the_command_writes_files_and_reports(data, tmp_path, capsys):
    flags = ["--data", str(data), "--out", str(tmp_path)]
    assert split.main([*flags, "train=6", "val=2", "test=rest", "--seed", "1"]) == 0
    assert f"{tmp_path / 'train.txt'}: 6 names" in capsys.readouterr().out
    parts = {part: read_split(tmp_path / f"{part}.txt") for part in ("train", "val", "test")}
    assert [len(names) for names in parts.values()] == [6, 2, 2]
    assert len({name for names in parts.values() for name in names}) == 10
    assert split.main([*flags, "--overwrite", "train=3", "test=7", "--group_pattern", "000[1-5]|00"]) == 0
    assert "groups stay whole" not in capsys.readouterr().out
    assert split.main([*flags, "--overwrite", "train=3", "test=7", "--group_pattern", "000|001"]) == 0
    assert "train.txt: 9 names (3 were asked for; groups stay whole)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["train=11"], "train=11 does not fit 10 names"),
        (["train=5", "test=5", "--group_pattern", "phantom"], "no group is left for test"),
        (["train=5", "--groups", "nowhere.txt"], "cannot read nowhere.txt"),
        (["train=5", "--group_pattern", "("], "is no regular expression"),
    ],
)
def test_mistakes_in_making_splits(data, tmp_path, capsys, flags, message):
    assert split.main(["--data", str(data), "--out", str(tmp_path / "out"), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def found(data, *flags):
    parts = task_of(parse_train_args(["--train_data_path", str(data), *map(str, flags)]).config).find_parts()
    return parts["training"], parts["validation"]


def names_file(path, *numbers):
    path.write_text("".join(f"phantom_{n:04}\n" for n in numbers))
    return path


def numbers(pairs):
    return [int(pair.stem[-4:]) for pair in pairs]


def test_training_keeps_to_its_splits(data, tmp_path):
    first, second = names_file(tmp_path / "a.txt", 1, 2, 3, 9), names_file(tmp_path / "b.txt", 4, 5)
    training, held_out = found(data, "--split", first, "--val_split", second)
    assert numbers(training) == [1, 2, 3, 9] and numbers(held_out) == [4, 5]
    training, held_out = found(data, "--val_split", second)
    assert numbers(training) == [1, 2, 3, 6, 7, 8, 9, 10] and numbers(held_out) == [4, 5]
    training, held_out = found(data, "--split", first)
    assert len(training) == 3 and sorted(numbers(training + held_out)) == [1, 2, 3, 9]
    training, held_out = found(data, "--split", first, "--val_data_path", data, "--val_split", second)
    assert numbers(training) == [1, 2, 3, 9] and numbers(held_out) == [4, 5]


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        ([1, 2, 3], [3, 4], "share 1 image, first: phantom_0003; each belongs to one part"),
        ([*range(5, 20)], [1], "9 names are no images of .*, first: phantom_0011, .*phantom_0015 and 4 more"),
        ([1, 2], [30], "1 name is no image"),
    ],
)
def test_splits_that_do_not_fit_are_refused(data, tmp_path, train, val, message):
    flags = ["--split", names_file(tmp_path / "a.txt", *train), "--val_split", names_file(tmp_path / "b.txt", *val)]
    with pytest.raises(InputError, match=message):
        found(data, *flags)


def test_nothing_left_to_train_on_is_told(data, tmp_path):
    with pytest.raises(InputError, match="nothing is left to train on"):
        found(data, "--val_split", names_file(tmp_path / "all.txt", *range(1, 11)))


def test_the_command_tells_groups_and_doubts(data, tmp_path, capsys):
    flags = ["--data", str(data), "--out", str(tmp_path)]
    assert split.main([*flags, "train=8", "test=2", "--group_pattern", "000[1-8]"]) == 0
    told = capsys.readouterr()
    assert told.out.count(" group") == 2 and "note: 2 of 10 names are in no group" in told.err
    assert split.main([*flags, "train=8", "test=2", "--group_pattern", "phantom"]) == 2
    assert "note: 10 of 10 names are in one group, 'phantom'; check that" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["train=" + "9" * 5000], "was given; expected parts of different names"),
        (["train=" + "9" * 5000 + "%"], "was given; expected parts of different names"),
        (["../up=50%"], "'../up=50%' was given; expected parts of different names"),
        ([""], "an empty text was given"),
        (["train=5", "--seed", "-1"], "--seed -1 was given; it must be at least 0"),
        (["train=5", "--groups", "{file}"], "is neither `name,group` nor `first last`, two numbers"),
        (["train=5", "--group_pattern", "("], "is no regular expression"),
        (["n" * 300 + "=5"], "File name too long"),
    ],
)
def test_odd_words_are_refused_in_one_sentence(data, tmp_path, capsys, flags, sentence):
    (tmp_path / "groups.txt").write_text("9" * 5000 + " 1\n")
    flags = [flag.format(file=tmp_path / "groups.txt") for flag in flags]
    assert split.main(["--data", str(data), "--out", str(tmp_path / "out"), *flags]) == 2
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1 and len(told) < 1000
    assert not list(tmp_path.glob("out/*"))


def test_names_that_are_not_utf8_are_refused(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    try:
        (tmp_path / "images" / "\udccf1.png").write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    assert split.main(["--data", str(tmp_path), "--out", str(tmp_path / "out"), "train=rest"]) == 2
    told = capsys.readouterr().err
    assert r"images holds a name that is not UTF-8, b'\xcf1.png'; rename it" in told and told.count("\n") == 1


def test_a_message_shows_the_beginning_of_an_endless_name(data, tmp_path):
    (tmp_path / "names.txt").write_text("x" * 10**6)
    with pytest.raises(InputError, match=r"1 name is no image of .*, first: x{120}\.\.\.; ") as caught:
        check_known(read_split(tmp_path / "names.txt"), NAMES, split=tmp_path / "names.txt", place=data)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("1 4\n9 5\n", "the range 9 5 ends before it begins; write 5 9"),
        ("10 20\n1 10\n", "the ranges 1 10 and 10 20 share numbers"),
        ("a,one\na.png,two\n", "puts a into two groups, one and two; keep one"),
        ("a, \n", "is neither `name,group` nor `first last`"),
        (" ,b\n", "is neither `name,group` nor `first last`"),
        ("1.5 3\n", "is neither `name,group` nor `first last`"),
    ],
)
def test_group_files_that_contradict_themselves_are_refused(tmp_path, lines, sentence):
    (tmp_path / "groups.txt").write_text(lines)
    with pytest.raises(InputError, match=sentence):
        group_reader(tmp_path / "groups.txt")


def test_spaces_around_names_and_groups_do_not_count(tmp_path):
    (tmp_path / "groups.txt").write_text("a b.png , one two\nc,one two\nc,one two\n")
    group_of = group_reader(tmp_path / "groups.txt")
    assert group_of("a b") == group_of("c") == "one two"


def test_every_name_is_tested_in_one_fold_and_groups_stay_whole():
    group_of = pattern_reader(r"^case(\d+)")
    names = [f"case{case}_{frame}" for case in range(20) for frame in range(3 + case % 4)]
    folds = fold_names(names, 5, seed=3, group_of=group_of)
    assert sorted(name for fold in folds for name in fold.test) == sorted(names)
    assert {len(fold.test) for fold in folds} <= {17, 18, 19}  # 90 names in 20 groups of 3 to 6
    for fold in folds:
        assert sorted(fold.train + fold.val + fold.test) == sorted(names)
        sides = [{group_of(name) for name in part} for part in (fold.train, fold.val, fold.test)]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 20
        assert 3 <= len(fold.val) <= 12  # a tenth of 72, groups whole
    assert folds == fold_names(names, 5, seed=3, group_of=group_of)
    assert folds != fold_names(names, 5, seed=4, group_of=group_of)


def test_folds_of_single_images_differ_by_one_at_most():
    folds = fold_names(NAMES[:13], 4, seed=0)
    assert sorted(len(fold.test) for fold in folds) == [3, 3, 3, 4]
    assert [len(fold.val) for fold in folds] == [1, 1, 1, 1]


def test_too_few_groups_for_folds_are_refused():
    with pytest.raises(InputError, match="5 names in 2 groups cannot make 2 folds; every fold tests at least one"):
        fold_names(list("abcde"), 2, seed=0, group_of=lambda name: str(name in "ab"))


def test_the_command_writes_folds_and_says_what_is_in_them(stills, tmp_path, capsys):
    data = stills(count=6, seed=0, size=(64, 80))
    flags = ["--data", str(data), "--out", str(tmp_path), "--group_pattern", r"(\d)$"]
    assert split.main([*flags, "--folds", "3"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{tmp_path}/fold_1: train 3 names in 3 groups, val 1 name in 1 group, test 2 names in 2 groups"
    tested = [read_split(tmp_path / f"fold_{n}" / "test.txt") for n in (1, 2, 3)]
    assert len({name for names in tested for name in names}) == 6 == sum(map(len, tested))
    assert split.main([*flags, "--folds", "3", "train=3"]) == 2
    assert "give either parts, as train=80% val=10% test=rest, or --folds N" in capsys.readouterr().err
    assert split.main([*flags, "--folds", "7"]) == 2
    assert "6 names in 6 groups cannot make 7 folds" in capsys.readouterr().err
