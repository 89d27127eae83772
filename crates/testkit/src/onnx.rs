//! Small networks, written byte by byte: what an exporter would give for a model that answers the
//! same whatever it is asked.
//!
//! (The messages of `onnx.proto`, in the wire format of Protocol Buffers.)

/// An input or output.
pub struct Value {
    /// Its name.
    pub name: &'static str,
    /// 1 is a 32-bit float, 7 a 64-bit integer.
    pub kind: u64,
    /// None for a dimension without a fixed length.
    pub shape: Vec<Option<u64>>,
}

impl Value {
    /// One of 32-bit floats.
    pub fn floats(name: &'static str, shape: &[u64]) -> Self {
        Self {
            name,
            kind: 1,
            shape: shape.iter().copied().map(Some).collect(),
        }
    }
}

/// An operation.
pub struct Node {
    /// The operator.
    pub operation: &'static str,
    /// The names of what it takes.
    pub inputs: Vec<&'static str>,
    /// The name of what it gives.
    pub output: &'static str,
}

/// A constant.
pub struct Constant {
    /// Its name.
    pub name: &'static str,
    /// The lengths of its dimensions.
    pub shape: Vec<u64>,
    /// Its numbers, the last dimension first.
    pub values: Vec<f32>,
}

/// A network.
#[derive(Default)]
pub struct Network {
    /// What it takes.
    pub inputs: Vec<Value>,
    /// What it gives.
    pub outputs: Vec<Value>,
    /// What it computes, in order.
    pub nodes: Vec<Node>,
    /// The constants that nodes take.
    pub constants: Vec<Constant>,
}

impl Network {
    /// One that takes a picture and gives these constants.
    pub fn constant(input: &[u64], outputs: Vec<Constant>) -> Self {
        let mut network = Self {
            inputs: vec![Value::floats("input", input)],
            ..Self::default()
        };
        for constant in outputs {
            let output: &'static str = format!("{}_out", constant.name).leak();
            network.outputs.push(Value::floats(output, &constant.shape));
            network.nodes.push(Node {
                operation: "Identity",
                inputs: vec![constant.name],
                output,
            });
            network.constants.push(constant);
        }
        network
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut graph = Vec::new();
        for node in &self.nodes {
            let mut message = Vec::new();
            for input in &node.inputs {
                field(&mut message, 1, input.as_bytes());
            }
            field(&mut message, 2, node.output.as_bytes());
            field(&mut message, 4, node.operation.as_bytes());
            field(&mut graph, 1, &message);
        }
        field(&mut graph, 2, b"graph");
        for constant in &self.constants {
            let mut message = Vec::new();
            for side in &constant.shape {
                number(&mut message, 1, *side);
            }
            number(&mut message, 2, 1);
            field(&mut message, 8, constant.name.as_bytes());
            let values = constant.values.iter().flat_map(|value| value.to_le_bytes());
            field(&mut message, 9, &values.collect::<Vec<u8>>());
            field(&mut graph, 5, &message);
        }
        for (tag, values) in [(11, &self.inputs), (12, &self.outputs)] {
            for value in values {
                field(&mut graph, tag, &value_info(value));
            }
        }
        let mut opset = Vec::new();
        number(&mut opset, 2, 13);
        let mut model = Vec::new();
        number(&mut model, 1, 8);
        field(&mut model, 7, &graph);
        field(&mut model, 8, &opset);
        model
    }
}

fn value_info(value: &Value) -> Vec<u8> {
    let mut shape = Vec::new();
    for side in &value.shape {
        let mut dimension = Vec::new();
        match side {
            Some(side) => number(&mut dimension, 1, *side),
            None => field(&mut dimension, 2, b"n"),
        }
        field(&mut shape, 1, &dimension);
    }
    let mut tensor = Vec::new();
    number(&mut tensor, 1, value.kind);
    field(&mut tensor, 2, &shape);
    let mut kind = Vec::new();
    field(&mut kind, 1, &tensor);
    let mut message = Vec::new();
    field(&mut message, 1, value.name.as_bytes());
    field(&mut message, 2, &kind);
    message
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, tag: u64, value: u64) {
    varint(out, tag << 3);
    varint(out, value);
}

fn field(out: &mut Vec<u8>, tag: u64, bytes: &[u8]) {
    varint(out, tag << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
