PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEMO := demo
TEST_PROCESSES ?= 2  # each takes about 2 GB
PYTEST := $(RUN) -m pytest --numprocesses $(strip $(TEST_PROCESSES)) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help test check demo gpu lint clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

# the stamp is newer than requirements.txt exactly when the environment holds what they ask for
$(VENV)/installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -r requirements.txt
	touch $@

test: $(VENV)/installed  ## Run all tests
	$(PYTEST)

check: $(VENV)/installed  ## Run the fast tests, under a minute
	$(PYTEST) -m "not slow and not gpu"

demo: $(VENV)/installed  ## Train, dump and score on synthetic data, a few minutes on a CPU
	rm -rf $(DEMO)
	$(RUN) -m utils phantom --out $(DEMO)/data --train 400 --test clear=24 busy=24 --size 176 208
	$(RUN) myTrain.py --train_data_path $(DEMO)/data/TrainDataset --train_model_save_path $(DEMO)/run \
	    --net_backbone pvt-v2-b0 --net_pretrained_backbone_path none --train_size 96 --batch_size 4 --epoch 16 \
	    --lr 1e-3 --lr_warmup_epoch 2 --lr_decay_rate 0.4 --lr_decay_epoch 6
	$(RUN) myTest.py --model_state_dict_path $(DEMO)/run/best.pth --test_data_path $(DEMO)/data/TestDataset \
	    --pred_save_path $(DEMO)/maps
	$(RUN) -m measure --GT_root $(DEMO)/data/TestDataset --pred_root $(DEMO)/maps --out $(DEMO)/scores \
	    --model SEPNet --image_root $(DEMO)/data/TestDataset
	$(RUN) -m utils montage --data $(DEMO)/data/TestDataset/PhantomClear --maps $(DEMO)/maps/PhantomClear \
	    --out $(DEMO)/demo.png

gpu: $(VENV)/installed  ## Try everything on a GPU, at most nine minutes; one report in result/gpu
	$(RUN) -m utils gpu $(GPU_FLAGS)

lint: $(VENV)/installed  ## Check style (installs ruff)
	$(RUN) -m pip install --quiet ruff
	$(RUN) -m ruff check . && $(RUN) -m ruff format --check .

clean:  ## Remove the environment and the demo
	rm -rf $(VENV) $(DEMO)
