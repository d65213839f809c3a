"""python -m neuron_xp"""

from neuron_xp.cli.app import console

if __name__ == "__main__":
    console()
