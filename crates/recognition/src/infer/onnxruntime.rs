//! ONNX Runtime, by its shared library.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::Session as Network;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::{Model, Port, Session, Tensor, only_input};
use crate::error::{Error, Result};

/// The library of this process. It can be loaded once, and is never unloaded.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

pub(super) struct Runtime {
    library: PathBuf,
    environment: Environment,
}

impl Runtime {
    pub fn load(libraries: &[PathBuf]) -> Result<Self> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.is_none() {
            *loaded = Some(first_of(libraries)?);
        }
        let (library, environment) = loaded.clone().expect("it was set");
        Ok(Self {
            library,
            environment,
        })
    }

    pub fn library(&self) -> &Path {
        &self.library
    }

    pub fn session(&self, model: &Model) -> Result<Box<dyn Session>> {
        let bad = |problem: String| model.unfit(format!("ONNX Runtime: {problem}"));
        // One thread each: the pool that calls it decides how many work at once.
        let network = Network::builder(&self.environment)
            .map_err(|error| bad(error.to_string()))?
            .with_intra_threads(1)
            .map_err(|error| bad(error.to_string()))?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(|error| bad(error.to_string()))?
            .commit_from_memory(model.bytes())
            .map_err(|error| bad(error.to_string()))?;
        let ports = |outlets: &[Outlet]| -> Result<Vec<Port>> {
            outlets.iter().map(|outlet| port(model, outlet)).collect()
        };
        Ok(Box::new(Loaded {
            input: only_input(model, ports(network.inputs())?)?,
            outputs: ports(network.outputs())?,
            name: model.name().to_owned(),
            network,
        }))
    }
}

fn first_of(libraries: &[PathBuf]) -> Result<(PathBuf, Environment)> {
    let mut problems = Vec::new();
    for library in libraries {
        let environment = ort::init_from(library)
            .map_err(|error| error.to_string())
            .and_then(|builder| {
                let builder = builder.with_name("keepwatch").with_telemetry(false);
                builder.build().map_err(|error| error.to_string())
            });
        match environment {
            Ok(environment) => return Ok((library.clone(), environment)),
            Err(problem) => problems.push(format!("{}: {problem}", library.display())),
        }
    }
    if problems.is_empty() {
        problems.push("its library was not found".to_owned());
    }
    Err(Error::Backend {
        backend: "onnxruntime",
        problem: problems.join("; "),
    })
}

fn port(model: &Model, outlet: &Outlet) -> Result<Port> {
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(model.unfit(format!("{:?} is no tensor", outlet.name())));
    };
    if *ty != TensorElementType::Float32 {
        return Err(model.unfit(format!(
            "{:?} is made of {ty}, and not of 32-bit numbers",
            outlet.name()
        )));
    }
    Ok(Port {
        name: outlet.name().to_owned(),
        shape: shape
            .iter()
            .map(|side| usize::try_from(*side).ok())
            .collect(),
    })
}

struct Loaded {
    name: String,
    network: Network,
    input: Port,
    outputs: Vec<Port>,
}

impl Session for Loaded {
    fn input(&self) -> &Port {
        &self.input
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, input: &Tensor, outputs: &mut Vec<Tensor>) -> Result<()> {
        let name = &self.name;
        let bad = |error: ort::Error| Error::Inference {
            problem: format!("{name}: ONNX Runtime: {error}"),
        };
        let value = TensorRef::from_array_view((input.shape(), input.data())).map_err(bad)?;
        let values = self.network.run(ort::inputs![value]).map_err(bad)?;
        outputs.resize_with(values.len(), Tensor::default);
        for (index, output) in outputs.iter_mut().enumerate() {
            let (shape, data) = values[index].try_extract_tensor::<f32>().map_err(bad)?;
            let mut sides = [0; 8];
            let rank = shape.len().min(sides.len());
            for (side, value) in sides.iter_mut().zip(shape.iter()) {
                *side = usize::try_from(*value).unwrap_or(0);
            }
            output.copy_from(&sides[..rank], data);
        }
        Ok(())
    }
}
