"""A loss written in Python: value and gradients in a function, learnt weights in the library's hands.

Two views of some samples, the second the first with other channel gains; the loss learns the gains:

    L = mean over samples of |weight * x - y|^2

In a trainer (add_loss, set_loss) the same loss is optimised, saved and resumed with the networks. docs/losses/custom.md
has the rules.
"""
import numpy as np
import sslcv

GAINS = np.array([0.5, 1.0, 2.0, -1.0], np.float32)


def distance(state, call):
    """The value; fills the gradients of the inputs, adds to that of the weight."""
    x, y = call.inputs[0][:, :, 0]  # (2, samples, 1, dim)
    error = state.data("weight") * x - y
    slope = 2 * call.scale / len(x) * error
    if call.diff_inputs[0] is not None:
        call.diff_inputs[0][0, :, 0] = slope * state.data("weight")
        call.diff_inputs[0][1, :, 0] = -slope
    if call.wants_gradient:
        gradient = state.data("weight", sslcv.StatePart.GRADIENT)
        gradient += (slope * x).sum(axis=0)
    return (error ** 2).sum() / len(x)


def main():
    x = np.random.default_rng(1).standard_normal((16, 4)).astype(np.float32)
    with sslcv.Context(threads=1) as context:
        loss = sslcv.Loss.custom(context, distance)
        loss.state.add("weight", (4,), role=sslcv.Role.WEIGHT)
        optimizer = sslcv.Optimizer(context, sslcv.OptimizerKind.SGD, weight_decay=0)
        optimizer.add(loss.state)
        for step in range(121):
            value, _ = loss(np.stack([x, GAINS * x]))
            if step % 40 == 0:
                print(f"step {step}: loss {value:.6f}")
            optimizer.step(0.05)
        learnt = loss.state["weight"]
    print("gains", learnt)
    assert np.allclose(learnt, GAINS, atol=0.05), "the gains were not learnt"


if __name__ == "__main__":
    main()
