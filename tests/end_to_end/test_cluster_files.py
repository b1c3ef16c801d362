"""docs/train.sbatch and docs/Dockerfile, as far as they can be tried without Slurm and Docker."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SBATCH, DOCKERFILE = ROOT / "docs" / "train.sbatch", ROOT / "docs" / "Dockerfile"


@pytest.mark.parametrize(("status", "requeued"), [(0, False), (75, True), (1, False), (2, False)])
def test_a_job_goes_back_into_the_queue_on_75_alone(tmp_path, status, requeued):
    told = tmp_path / "told.txt"
    for name, end in (("srun", status), ("scontrol", 0)):
        (tmp_path / name).write_text(f'#!/bin/bash\necho {name} "$@" >> {told}\nexit {end}\n')
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    environment["SLURM_SUBMIT_DIR"] = str(tmp_path)
    ended = subprocess.run(["bash", str(SBATCH), "--seed", "3"], env=environment)
    assert ended.returncode == status
    lines = told.read_text().splitlines()
    assert lines[0] == "srun python myTrain.py --resume auto --seed 3"
    assert lines[1:] == (["scontrol requeue 7"] if requeued else [])


def test_the_image_gets_what_is_there_and_a_headless_opencv(tmp_path):
    text = DOCKERFILE.read_text()
    sources = [word for line in re.findall(r"^COPY (.+)", text, re.M) for word in line.split()[:-1]]
    assert not [source for source in sources if not (ROOT / source).exists()]
    assert {"lib", "measure", "utils", "myTrain.py", "myTest.py"} <= set(sources)
    (command,) = re.findall(r"(sed .+? requirements.txt)", text)
    written = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"^opencv-python-headless>=", written, re.M) and not re.search(r"^opencv-python>", written, re.M)
