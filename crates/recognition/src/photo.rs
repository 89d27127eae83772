//! Picture files, as people have them.
//!
//! What a file is shows in its content, never in its name. It is turned as its EXIF data say, and
//! what is transparent is dropped, not blended: a face cut out of its background stays what it was.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};

use crate::error::{Error, Result};
use crate::picture::{Channels, Picture};

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 64 << 20;
/// The most pixels of a picture. That is more than phones take; one of 100 megapixels would fill
/// 300 MB.
pub const MAX_PIXELS: u64 = 64_000_000;
/// The longest side of a picture.
const MAX_SIDE: u32 = 32_768;

/// Reads a JPEG, PNG, WebP, BMP, GIF or TIFF file.
///
/// # Errors
/// [`Error::Read`], and as [`decode`].
pub fn read(path: &Path) -> Result<Picture> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    let name = path.display().to_string();
    if size > MAX_FILE {
        return Err(too_large(name, &format!("the file has {size} bytes")));
    }
    decode(&std::fs::read(path).map_err(failed)?, &name)
}

/// Reads what such a file holds. `name` is for messages.
///
/// Gives red, green and blue of 8 bits each.
///
/// # Errors
/// [`Error::Photo`] for what is no picture, is broken, or is larger than [`MAX_PIXELS`]; its size is
/// checked before memory is taken for it.
pub fn decode(bytes: &[u8], name: &str) -> Result<Picture> {
    let bad = |error: ImageError| Error::Photo {
        name: name.to_owned(),
        problem: problem(&error),
    };
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| bad(ImageError::IoError(error)))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    // The pixels of the largest picture with 16 bits of four channels.
    limits.max_alloc = Some(MAX_PIXELS * 8);
    reader.limits(limits);
    if reader.format().is_none() {
        return Err(Error::Photo {
            name: name.to_owned(),
            problem: "it is none of the formats that are read (JPEG, PNG, WebP, BMP, GIF, TIFF)"
                .to_owned(),
        });
    }
    let mut decoder = reader.into_decoder().map_err(bad)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(too_large(
            name.to_owned(),
            &format!("it has {width} x {height} pixels"),
        ));
    }
    let orientation = decoder.orientation().map_err(bad)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(bad)?;
    image.apply_orientation(orientation);
    let image = image.into_rgb8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    Picture::new(image.into_raw(), width, height, Channels::Rgb)
}

fn too_large(name: String, size: &str) -> Error {
    Error::Photo {
        name,
        problem: format!(
            "{size}; at most {MAX_FILE} bytes and {MAX_PIXELS} pixels are read: make it smaller"
        ),
    }
}

/// Without the words that the library puts before each.
fn problem(error: &ImageError) -> String {
    match error {
        ImageError::Limits(_) => {
            format!("it takes more memory than a picture of {MAX_PIXELS} pixels needs")
        }
        ImageError::Unsupported(error) => error.to_string(),
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it is cut off".to_owned()
        }
        error => error.to_string(),
    }
}
