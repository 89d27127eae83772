//! `tract`: networks computed in Rust.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

use super::{Model, Port, Session, Tensor, only_input};
use crate::error::{Error, Result};

/// How many shapes of the input a network is kept ready for.
const MAX_PLANS: usize = 8;

type Plan = Arc<TypedRunnableModel>;

struct Loaded {
    name: String,
    network: InferenceModel,
    input: Port,
    outputs: Vec<Port>,
    /// The network is worked out for each shape of the input.
    plans: HashMap<Vec<usize>, Plan>,
}

pub(super) fn session(model: &Model) -> Result<Box<dyn Session>> {
    let bad = |error: TractError| model.unfit(format!("tract: {error:#}"));
    let network = onnx()
        .model_for_read(&mut Cursor::new(model.bytes()))
        .map_err(bad)?;
    let port = |outlet: &OutletId, input: bool| -> Result<Port> {
        let fact = network.outlet_fact(*outlet).map_err(bad)?;
        let floats = fact
            .datum_type
            .concretize()
            .map(|kind| kind == f32::datum_type());
        if floats.map_or(input, |floats| !floats) {
            return Err(model.unfit("an input or output is not made of 32-bit numbers"));
        }
        let name = network.outlet_label(*outlet);
        let name = name.map_or_else(|| network.node(outlet.node).name.clone(), str::to_owned);
        let shape = fact.shape.dims().map(|side| fixed(&side.concretize()?));
        Ok(Port {
            name,
            shape: shape.collect(),
        })
    };
    let ports = |outlets: &[OutletId], input: bool| -> Result<Vec<Port>> {
        outlets.iter().map(|outlet| port(outlet, input)).collect()
    };
    let input = only_input(model, ports(network.input_outlets().map_err(bad)?, true)?)?;
    let outputs = ports(network.output_outlets().map_err(bad)?, false)?;
    // Where the shape of the input is not known, the file says of what follows from it only that it
    // is not known, and the network would stay with that.
    let network = match input.shape.iter().all(Option::is_some) {
        true => network,
        false => onnx()
            .with_ignore_value_info(true)
            .model_for_read(&mut Cursor::new(model.bytes()))
            .map_err(bad)?,
    };
    let mut loaded = Loaded {
        name: model.name().to_owned(),
        input,
        outputs,
        network,
        plans: HashMap::new(),
    };
    // What cannot be computed is said now, where the shape is known; and so are the outputs'.
    let shape: Option<Vec<usize>> = loaded.input.shape.iter().copied().collect();
    if let Some(shape) = shape {
        let plan = loaded.plan(&shape).map_err(|error| match error {
            Error::Inference { problem } => model.unfit(problem),
            error => error,
        })?;
        for (index, output) in loaded.outputs.iter_mut().enumerate() {
            let fact = plan.model().output_fact(index).map_err(bad)?;
            output.shape = fact.shape.iter().map(fixed).collect();
        }
    }
    Ok(Box::new(loaded))
}

/// The length of a dimension, where it is known.
fn fixed(side: &TDim) -> Option<usize> {
    usize::try_from(side.to_i64().ok()?).ok()
}

impl Loaded {
    fn plan(&mut self, shape: &[usize]) -> Result<Plan> {
        if let Some(plan) = self.plans.get(shape) {
            return Ok(plan.clone());
        }
        let fits = shape.len() == self.input.shape.len()
            && shape
                .iter()
                .zip(&self.input.shape)
                .all(|(side, fixed)| fixed.is_none_or(|fixed| fixed == *side));
        if !fits {
            return Err(self.failed(&format!(
                "it takes {:?}, and not {shape:?}",
                self.input.shape
            )));
        }
        let name = self.name.clone();
        let bad = |error: TractError| Error::Inference {
            problem: format!("{name}: tract: {error:#}"),
        };
        let plan = self
            .network
            .clone()
            .with_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape))
            .and_then(InferenceModel::into_optimized)
            .and_then(|model| model.into_runnable())
            .map_err(bad)?;
        if self.plans.len() >= MAX_PLANS {
            self.plans.clear();
        }
        self.plans.insert(shape.to_vec(), plan.clone());
        Ok(plan)
    }

    fn failed(&self, problem: &str) -> Error {
        Error::Inference {
            problem: format!("{}: {problem}", self.name),
        }
    }
}

impl Session for Loaded {
    fn input(&self) -> &Port {
        &self.input
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, input: &Tensor, outputs: &mut Vec<Tensor>) -> Result<()> {
        let plan = self.plan(input.shape())?;
        let bad = |error: TractError| self.failed(&format!("tract: {error:#}"));
        let value =
            tract_onnx::prelude::Tensor::from_shape(input.shape(), input.data()).map_err(bad)?;
        let values = plan.run(tvec!(value.into())).map_err(bad)?;
        outputs.resize_with(values.len(), Tensor::default);
        for (output, value) in outputs.iter_mut().zip(&values) {
            let data = value.view();
            let data = data.as_slice::<f32>().map_err(bad)?;
            output.copy_from(value.shape(), data);
        }
        Ok(())
    }
}
