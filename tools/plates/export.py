"""Writes a trained network as ONNX: batch norm folded, plain operators, float32."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nets import Finder, Reader

ALLOWED = {"Conv", "Relu", "MaxPool", "Concat", "Reshape", "Transpose", "Add", "Resize", "Constant", "Squeeze", "Identity"}


def fold(net: nn.Module) -> None:
    """Replaces every convolution with batch norm by one convolution."""
    for m in net.modules():
        if isinstance(m, nn.Sequential):
            for i in range(len(m) - 1):
                a, b = m[i], m[i + 1]
                if isinstance(a, nn.Conv2d) and isinstance(b, nn.BatchNorm2d):
                    m[i] = fuse_conv_bn_eval(a, b)
                    m[i + 1] = nn.Identity()


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("kind", choices=["reader", "finder"])
    p.add_argument("checkpoint", type=Path)
    p.add_argument("out", type=Path)
    a = p.parse_args()
    net: nn.Module = Reader() if a.kind == "reader" else Finder()
    net.load_state_dict(torch.load(a.checkpoint, weights_only=True)["ema"])
    net.eval()
    if a.kind == "reader":
        x = torch.randn(2, 1, 48, 144)
        names, axes = ["logits"], {"crop": {0: "n"}, "logits": {0: "n"}}
        inputs = ["crop"]
    else:
        x = torch.randn(1, 1, 192, 320)
        names, inputs = ["small", "large"], ["picture"]
        axes = {"picture": {2: "h", 3: "w"}, "small": {2: "h8", 3: "w8"}, "large": {2: "h32", 3: "w32"}}
    with torch.no_grad():
        before = net(x)
        fold(net)
        torch.onnx.export(net, (x,), str(a.out), opset_version=13, input_names=inputs, output_names=names,
                          dynamic_axes=axes, dynamo=False)
    model = onnx.load(str(a.out))
    onnx.checker.check_model(model)
    ops = {n.op_type for n in model.graph.node}
    print("operators:", " ".join(sorted(ops)))
    assert ops <= ALLOWED, ops - ALLOWED
    session = ort.InferenceSession(str(a.out))
    got = session.run(None, {inputs[0]: x.numpy()})
    want = [before] if a.kind == "reader" else list(before)
    for g, w in zip(got, want):
        print("largest difference to torch:", float(np.abs(g - w.numpy()).max()))
    print(a.out, a.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
