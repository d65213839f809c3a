"""Trainings as `neuron_xp.train` does them, where a test turns what users do not."""

from neuron_xp.model.settings import check_settings
from neuron_xp.training.data.training_set import Given, Where, open_training_set
from neuron_xp.training.fit import fit


def train_with_pace(pace, inputs, targets, *, backend=None, **settings):
    checked = check_settings(**settings)
    data = open_training_set(Given(inputs, targets), checked, Where(backend=backend))
    return fit(data, checked, pace=pace)
