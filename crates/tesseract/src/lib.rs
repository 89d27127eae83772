//! Tesseract 5, whose library is looked for when it is first needed.
//!
//! A program that was linked with it would not start without it, and would load it, and forty
//! libraries that it needs, for those who never read a plate with it. So its functions are found by
//! name, in what its `capi.h` declares. This is the only crate here with `unsafe` code of our own: each
//! call of such a function, and nothing else.
//!
//! ```no_run
//! # fn main() -> keepwatch_tesseract::Result<()> {
//! use keepwatch_tesseract::{Engine, PageMode};
//! let mut engine = Engine::new()?;
//! engine.load_from(c"/usr/share/tesseract-ocr/5/tessdata", c"eng")?;
//! engine.set_page_mode(PageMode::Line);
//! let (width, height) = (120, 40);
//! let hocr = engine.read(&vec![255; width * height], width, height)?;
//! # Ok(())
//! # }
//! ```

mod library;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{NonNull, null_mut};

use library::{Functions, functions};

/// The result of what Tesseract is asked for.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why Tesseract does not do what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no library that can be used.
    #[error("there is no library of Tesseract 5: {0}")]
    Missing(String),
    /// It has no memory for an engine.
    #[error("an engine could not be made")]
    Engine,
    /// The file of a language is none, or there is none.
    #[error("the language could not be loaded")]
    Language,
    /// It knows no variable of this name.
    #[error("this version has no variable {0}")]
    Variable(String),
    /// A picture has another size than it is said to have.
    #[error("a picture of {width} x {height} does not fit {len} bytes")]
    Picture {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Bytes there are.
        len: usize,
    },
    /// It gave no text.
    #[error("the picture could not be read")]
    Reading,
}

/// What a picture is taken for, as Tesseract numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum PageMode {
    /// One line of text.
    Line = 7,
    /// One word.
    Word = 8,
    /// One line, without what is done for its layout.
    RawLine = 13,
}

/// The network for lines, of the engines that Tesseract has (`OEM_LSTM_ONLY`).
const NETWORK_FOR_LINES: c_int = 1;
/// So many pixels to the inch; it would guess, and write a warning.
const RESOLUTION: c_int = 300;

/// An engine: a language, its settings, and the picture that is being read.
pub struct Engine {
    functions: &'static Functions,
    handle: NonNull<c_void>,
    /// Whether there is a language: without one Tesseract reads memory that it does not have.
    ready: bool,
}

// SAFETY: an engine keeps nothing that belongs to a thread, and is used by one at a time: each call but
// `drop` takes it by `&mut`.
#[allow(unsafe_code, reason = "calls of a library in C")]
unsafe impl Send for Engine {}

/// The version of the library, such as `5.3.0`.
///
/// # Errors
/// [`Error::Missing`].
pub fn version() -> Result<&'static str> {
    functions().map(|functions| functions.version.as_str())
}

#[allow(unsafe_code, reason = "calls of a library in C")]
impl Engine {
    /// Makes an engine, which reads nothing before it has a language.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Engine`].
    pub fn new() -> Result<Self> {
        let functions = functions()?;
        // SAFETY: it takes nothing, and what it gives is freed by `drop` alone.
        let handle = unsafe { (functions.create)() };
        let handle = NonNull::new(handle).ok_or(Error::Engine)?;
        Ok(Self {
            functions,
            handle,
            ready: false,
        })
    }

    /// Loads a language from the bytes of its file.
    ///
    /// # Errors
    /// [`Error::Language`].
    pub fn load(&mut self, file: &[u8], language: &CStr) -> Result<()> {
        self.ready = false;
        let length = c_int::try_from(file.len()).map_err(|_| Error::Language)?;
        // Of length 0 it would be taken for a path, up to some zero byte.
        if length == 0 {
            return Err(Error::Language);
        }
        // SAFETY: `file` is as long as is said, texts end with a zero byte, and both are copied before it
        // returns. There are no files of settings, and no settings: their lists are empty, of length 0.
        let failed = unsafe {
            (self.functions.init_from_bytes)(
                self.handle.as_ptr(),
                file.as_ptr().cast(),
                length,
                language.as_ptr(),
                NETWORK_FOR_LINES,
                null_mut(),
                0,
                null_mut(),
                null_mut(),
                0,
                0,
            )
        };
        self.loaded(failed)
    }

    /// Loads languages, joined by `+`, whose files are in a directory.
    ///
    /// # Errors
    /// [`Error::Language`].
    pub fn load_from(&mut self, directory: &CStr, languages: &CStr) -> Result<()> {
        self.ready = false;
        let (directory, languages) = (directory.as_ptr(), languages.as_ptr());
        let init = self.functions.init_from_directory;
        // SAFETY: both texts end with a zero byte, and are copied before it returns.
        let failed = unsafe {
            init(
                self.handle.as_ptr(),
                directory,
                languages,
                NETWORK_FOR_LINES,
            )
        };
        self.loaded(failed)
    }

    fn loaded(&mut self, failed: c_int) -> Result<()> {
        self.ready = failed == 0;
        self.ready.then_some(()).ok_or(Error::Language)
    }

    /// Sets one of Tesseract's variables.
    ///
    /// # Errors
    /// [`Error::Variable`].
    pub fn set(&mut self, name: &CStr, value: &CStr) -> Result<()> {
        let set = self.functions.set_variable;
        // SAFETY: both texts end with a zero byte, and are copied before it returns.
        let known = unsafe { set(self.handle.as_ptr(), name.as_ptr(), value.as_ptr()) };
        if known == 0 {
            return Err(Error::Variable(name.to_string_lossy().into_owned()));
        }
        Ok(())
    }

    /// What pictures are taken for from now on.
    pub fn set_page_mode(&mut self, mode: PageMode) {
        // SAFETY: it is one of the modes that there are.
        unsafe { (self.functions.set_page_mode)(self.handle.as_ptr(), mode as c_int) }
    }

    /// Reads a grey picture, one byte a pixel, row after row without a gap; gives hOCR.
    ///
    /// # Errors
    /// [`Error::Picture`], [`Error::Reading`], and [`Error::Language`] when none was loaded.
    pub fn read(&mut self, pixels: &[u8], width: usize, height: usize) -> Result<String> {
        if !self.ready {
            return Err(Error::Language);
        }
        let wrong = Error::Picture {
            width,
            height,
            len: pixels.len(),
        };
        let (Ok(columns), Ok(rows)) = (c_int::try_from(width), c_int::try_from(height)) else {
            return Err(wrong);
        };
        if columns == 0 || rows == 0 || width.checked_mul(height) != Some(pixels.len()) {
            return Err(wrong);
        }
        let (functions, handle) = (self.functions, self.handle.as_ptr());
        let pixels = pixels.as_ptr();
        // SAFETY: there are as many bytes as rows and columns want, and they are copied before it returns.
        unsafe { (functions.set_image)(handle, pixels, columns, rows, 1, columns) };
        // SAFETY: there is a picture that this can be said of.
        unsafe { (functions.set_resolution)(handle, RESOLUTION) };
        // SAFETY: it may be told of nobody who watches its progress.
        let failed = unsafe { (functions.recognize)(handle, null_mut()) };
        if failed != 0 {
            return Err(Error::Reading);
        }
        // SAFETY: pages are counted from 0, and what it gives is freed below.
        let text = unsafe { (functions.hocr)(handle, 0) };
        let text = NonNull::new(text).ok_or(Error::Reading)?;
        Ok(self.take(text))
    }

    /// A text of Tesseract's, which is given back to it.
    fn take(&self, text: NonNull<c_char>) -> String {
        // SAFETY: it ends with a zero byte, and nobody changes or frees it before this function does.
        let borrowed = unsafe { CStr::from_ptr(text.as_ptr()) };
        let copied = borrowed.to_string_lossy().into_owned();
        // SAFETY: it is Tesseract's, and is used no more.
        unsafe { (self.functions.delete_text)(text.as_ptr()) };
        copied
    }
}

#[allow(unsafe_code, reason = "calls of a library in C")]
impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: it was made by `create`, and this is its only end.
        unsafe { (self.functions.delete)(self.handle.as_ptr()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
