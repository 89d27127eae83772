//! Picture files, as people have them.
//!
//! What a file is shows in its content, never in its name. It is turned as its EXIF data say, and
//! what is transparent is dropped, not blended: a face cut out of its background stays what it was.

use std::io::{Cursor, Read};
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
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    // What the system says of a size need not be true: a device has none, and no end.
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(too_large(name, "the file is longer"));
    }
    decode(&bytes, &name)
}

/// Reads what such a file holds. `name` is for messages.
///
/// Gives red, green and blue of 8 bits each.
///
/// # Errors
/// [`Error::Photo`] for what is no picture, is broken, or is larger than [`MAX_PIXELS`]; its size is
/// checked before memory is taken for it.
pub fn decode(bytes: &[u8], name: &str) -> Result<Picture> {
    decode_up_to(bytes, name, MAX_PIXELS)
}

/// As [`decode`], of a picture with at most so many pixels.
pub(crate) fn decode_up_to(bytes: &[u8], name: &str, most: u64) -> Result<Picture> {
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
    limits.max_alloc = Some(most * 8);
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
    check_up_to(width.into(), height.into(), most, name)?;
    let orientation = decoder.orientation().map_err(bad)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(bad)?;
    image.apply_orientation(orientation);
    let image = image.into_rgb8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    Picture::new(image.into_raw(), width, height, Channels::Rgb)
}

/// Refuses pictures with more pixels than are worked on. `name` is for messages.
///
/// # Errors
/// [`Error::Photo`].
pub fn check_size(width: u64, height: u64, name: &str) -> Result<()> {
    check_up_to(width, height, MAX_PIXELS, name)
}

fn check_up_to(width: u64, height: u64, most: u64, name: &str) -> Result<()> {
    let long = width.max(height) > u64::from(MAX_SIDE);
    if long || width * height > most {
        let size = format!("it has {width} x {height} pixels");
        return Err(too_large(name.to_owned(), &size));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    /// Red at the upper left, blue elsewhere.
    fn flag(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            match (x < width / 2, y < height / 2) {
                (true, true) => Rgb([250, 0, 0]),
                _ => Rgb([0, 0, 250]),
            }
        })
    }

    fn jpeg(image: &RgbImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95)
            .encode_image(image)
            .expect("it can be encoded");
        bytes
    }

    fn png(width: u32, height: u32, pixels: &[u8], color: ExtendedColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        image::codecs::png::PngEncoder::new(&mut bytes)
            .write_image(pixels, width, height, color)
            .expect("it can be encoded");
        bytes
    }

    fn is_red(picture: &Picture, x: usize, y: usize) -> bool {
        let pixel = &picture.row(y)[x * 3..][..3];
        pixel[0] > 200 && pixel[2] < 60
    }

    #[test]
    fn pictures_are_turned_as_their_exif_data_say() {
        let plain = jpeg(&flag(64, 32));
        // A TIFF header, and one entry: orientation 6, to be turned to the right.
        let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let mut exif = b"\xff\xe1".to_vec();
        exif.extend_from_slice(&(2 + 6 + tiff.len() as u16).to_be_bytes());
        exif.extend_from_slice(b"Exif\0\0");
        exif.extend_from_slice(tiff);
        let turned = [&plain[..2], &exif, &plain[2..]].concat();
        let upright = decode(&plain, "plain").expect("it is a JPEG");
        assert_eq!((upright.width(), upright.height()), (64, 32));
        assert!(is_red(&upright, 8, 8) && !is_red(&upright, 56, 8));
        let turned = decode(&turned, "turned").expect("it is a JPEG");
        assert_eq!((turned.width(), turned.height()), (32, 64));
        assert!(is_red(&turned, 24, 8) && !is_red(&turned, 8, 8));
    }

    #[test]
    fn what_a_file_is_shows_in_its_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("photo.jpg");
        let mut webp = Vec::new();
        image::codecs::webp::WebPEncoder::new_lossless(&mut webp)
            .encode(flag(20, 20).as_raw(), 20, 20, ExtendedColorType::Rgb8)
            .expect("it can be encoded");
        std::fs::write(&path, webp).expect("it can be written");
        assert!(is_red(&read(&path).expect("it is a picture"), 2, 2));
    }

    #[test]
    fn transparency_and_grey_and_16_bits_become_red_green_and_blue() {
        let clear = RgbaImage::from_pixel(4, 4, Rgba([250, 0, 0, 0]));
        let clear = png(4, 4, clear.as_raw(), ExtendedColorType::Rgba8);
        assert!(is_red(&decode(&clear, "clear").expect("it is a PNG"), 0, 0));
        let gray = png(4, 1, &[0, 80, 160, 240], ExtendedColorType::L8);
        let gray = decode(&gray, "gray").expect("it is a PNG");
        assert_eq!(
            gray.data(),
            [0, 0, 0, 80, 80, 80, 160, 160, 160, 240, 240, 240]
        );
        let deep: Vec<u8> = [0x8000_u16; 3]
            .iter()
            .flat_map(|v| v.to_ne_bytes())
            .collect();
        let deep = png(1, 1, &deep, ExtendedColorType::Rgb16);
        assert_eq!(decode(&deep, "deep").expect("it is a PNG").data(), [128; 3]);
    }

    /// CRC-32, as PNG has it (RFC 2083, section 15).
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }

    #[test]
    fn a_picture_that_would_fill_the_memory_is_refused_by_its_size() {
        let mut bomb = png(1, 1, &[0; 3], ExtendedColorType::Rgb8);
        for (width, height) in [(10_001_u32, 10_000_u32), (1 << 30, 1 << 30), (40_000, 1)] {
            bomb[16..20].copy_from_slice(&width.to_be_bytes());
            bomb[20..24].copy_from_slice(&height.to_be_bytes());
            let sum = crc(&bomb[12..29]);
            bomb[29..33].copy_from_slice(&sum.to_be_bytes());
            let error = decode(&bomb, "bomb.png").expect_err("it is too large");
            let text = error.to_string();
            assert!(text.contains("bomb.png"), "{text}");
            assert!(matches!(error, Error::Photo { .. }), "{text}");
        }
    }

    #[test]
    fn broken_files_and_others_are_errors_with_their_name() {
        let whole = jpeg(&flag(64, 64));
        let png = png(2, 2, &[9; 12], ExtendedColorType::Rgb8);
        for (bytes, what) in [
            (&b""[..], "empty"),
            (b"%PDF-1.7", "a document"),
            (&whole[..20], "a beginning"),
            (&png[..40], "half"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a drawing"),
        ] {
            let error = decode(bytes, what).expect_err("it is no picture");
            assert!(error.to_string().contains(what), "{error}");
        }
        let error = read(Path::new("/nowhere/photo.jpg")).expect_err("it is not there");
        assert!(matches!(error, Error::Read { .. }));
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = read(Path::new("/dev/zero")).expect_err("it has no end");
        assert!(error.to_string().contains("longer"), "{error}");
    }
}
