"""The article's sequel: one neuron cannot learn the exclusive or, a hidden layer does."""

import warnings

import neuron_xp

inputs = [[0, 0], [0, 1], [1, 0], [1, 1]]
targets = [0, 1, 1, 0]

for hidden in ((), (4,)):
    with warnings.catch_warnings(record=True) as told:
        network = neuron_xp.train(
            inputs, targets, hidden=hidden, bias=True, rule="cross_entropy", iterations=3000
        )
    print(f"hidden={hidden}:", network.think(inputs)[:, 0].round(2))
    for warning in told:
        print(f"{warning.category.__name__}: {warning.message}")
