//! Pictures, in each form that Python has them in.

use std::path::PathBuf;

use keepwatch_recognition::{Channels, Picture, View, photo};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyMemoryView;

use crate::credential::one_of;
use crate::errors::{Raise, Result, wrong_type};
#[cfg(feature = "vision")]
use crate::vision::frame::Frame;

/// What is needed, for whoever gives something else.
const FORMS: &str =
    "picture: a path, the bytes of a picture file, a NumPy array or a Frame is needed";

/// The order of the colours in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Red first, as everybody has it but OpenCV.
    Rgb,
    /// Blue first, as OpenCV has it.
    Bgr,
}

impl Order {
    /// Reads `channels`.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "rgb" => Ok(Self::Rgb),
            "bgr" => Ok(Self::Bgr),
            _ => Err(one_of("channels", name, &["rgb", "bgr"])),
        }
    }
}

/// A picture that was given; it is read off the interpreter's lock.
pub struct Given {
    form: Form,
    name: String,
}

enum Form {
    File(PathBuf),
    Encoded(PyBackedBytes),
    Array {
        data: PyBackedBytes,
        width: usize,
        height: usize,
        channels: Channels,
        order: Order,
    },
    #[cfg(feature = "vision")]
    Frame(Py<Frame>),
}

impl Given {
    /// Takes an argument. `name` is what it is called in messages when it has no name of its own.
    pub fn take(object: &Bound<'_, PyAny>, order: Order, name: &str) -> Result<Self> {
        let form = form(object, order)?;
        let name = match &form {
            Form::File(path) => path.display().to_string(),
            _ => name.to_owned(),
        };
        Ok(Self { form, name })
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Looks at its pixels.
    pub fn view<T>(
        &self,
        look: impl FnOnce(View<'_>) -> keepwatch_recognition::Result<T>,
    ) -> keepwatch_recognition::Result<T> {
        match &self.form {
            Form::File(path) => look(photo::read(path)?.view()),
            Form::Encoded(bytes) => look(photo::decode(bytes, &self.name)?.view()),
            Form::Array {
                data,
                width,
                height,
                channels,
                order,
            } => {
                let view = View::new(data, *width, *height, width * channels.count(), *channels)?;
                match (channels, order) {
                    (Channels::Rgb, Order::Bgr) => look(swapped(view)?.view()),
                    _ => look(view),
                }
            }
            #[cfg(feature = "vision")]
            Form::Frame(frame) => {
                let pixels = frame.get().pixels();
                let channels = match pixels.color() {
                    keepwatch_vision::Color::Luma => Channels::Gray,
                    keepwatch_vision::Color::Rgb => Channels::Rgb,
                };
                let (width, height) = (pixels.width(), pixels.height());
                look(View::new(
                    pixels.bytes(),
                    width,
                    height,
                    pixels.stride(),
                    channels,
                )?)
            }
        }
    }
}

fn form(object: &Bound<'_, PyAny>, order: Order) -> Result<Form> {
    if let Ok(bytes) = object.extract::<PyBackedBytes>() {
        return Ok(Form::Encoded(bytes));
    }
    if object.is_instance_of::<PyMemoryView>() {
        let bytes = object.call_method0("tobytes")?;
        return Ok(Form::Encoded(bytes.extract().map_err(PyErr::from)?));
    }
    #[cfg(feature = "vision")]
    if let Ok(frame) = object.cast::<Frame>() {
        return Ok(Form::Frame(frame.clone().unbind()));
    }
    if let Ok(path) = object.extract::<PathBuf>() {
        return Ok(Form::File(path));
    }
    array(object, order)
}

/// NumPy's arrays, and whatever looks like them: their own interface changes from version to
/// version, and the stable one of Python has none for their memory.
fn array(object: &Bound<'_, PyAny>, order: Order) -> Result<Form> {
    let wrong = || Raise::Python(wrong_type(FORMS));
    let values = object.getattr("dtype").map_err(|_| wrong())?;
    let shape = object.getattr("shape").map_err(|_| wrong())?;
    let shape: Vec<usize> = shape.extract().map_err(|_| wrong())?;
    let values = values.str()?.to_string();
    if values != "uint8" {
        return Err(Raise::Python(wrong_type(&format!(
            "picture: the values of the array are {values}, and uint8, from 0 to 255, is needed"
        ))));
    }
    let (height, width, channels) = match shape[..] {
        [height, width] => (height, width, Channels::Gray),
        [height, width, 3] => (height, width, Channels::Rgb),
        _ => {
            return Err(Raise::value(
                "picture",
                format!(
                    "the shape of the array is {shape:?}, and [height, width] of brightness or \
                     [height, width, 3] of colours is needed"
                ),
            ));
        }
    };
    if width == 0 || height == 0 {
        return Err(Raise::value("picture", "the array is empty"));
    }
    photo::check_size(width as u64, height as u64, "given as an array")?;
    let data = object.call_method0("tobytes")?;
    let data = data.extract().map_err(PyErr::from)?;
    Ok(Form::Array {
        data,
        width,
        height,
        channels,
        order,
    })
}

fn swapped(view: View<'_>) -> keepwatch_recognition::Result<Picture> {
    let mut data = Vec::with_capacity(view.width() * view.height() * 3);
    for y in 0..view.height() {
        for pixel in view.row(y).chunks_exact(3) {
            data.extend([pixel[2], pixel[1], pixel[0]]);
        }
    }
    Picture::new(data, view.width(), view.height(), Channels::Rgb)
}
