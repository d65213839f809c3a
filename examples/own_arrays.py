"""Train on your own numbers: which of 200 points lie above a line?"""

import numpy as np

import neuron_xp

generator = np.random.RandomState(0)
points = generator.random_sample((200, 2))
above = points[:, 1] > 0.2 + 0.5 * points[:, 0]

# a column of ones lets the line miss the origin
inputs = np.column_stack([points, np.ones(200)])
network = neuron_xp.train(inputs, above, learning_rate=0.5, iterations=2000)

answers = network.think(inputs)[:, 0] > 0.5
print(f"{np.mean(answers == above):.0%} of the points are on the right side")
print("slope of the line:", -network.weights[0][0, 0] / network.weights[0][1, 0])
print("fingerprint:", network.fingerprint())
