"""The article's neuron on NumPy, and the same bits on every other library that is here."""

import neuron_xp
from neuron_xp.backends.probe.status import list_statuses

network = neuron_xp.train()
print("weights:", *network.weights[0][:, 0])
print("[1, 0, 0] ->", *network.think([1, 0, 0]))
print("fingerprint:", network.fingerprint())

few = neuron_xp.train(iterations=500)
for status in list_statuses():
    if status.usable:
        other = neuron_xp.train(backend=status.name, device=status.device, iterations=500)
        assert other.fingerprint() == few.fingerprint()
        print(f"{status.name} on {status.device}: the same after 500 iterations")
