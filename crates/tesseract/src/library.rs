//! The library, and those of its functions that are used.

use std::error::Error as _;
use std::ffi::{CStr, c_char, c_int, c_uchar, c_void};
use std::sync::OnceLock;

use libloading::Library;

use crate::{Error, Result};

/// As the library is called where it is part of the system, and where Homebrew has it.
const NAMES: [&str; 3] = [
    "libtesseract.so.5",
    "libtesseract.5.dylib",
    "/opt/homebrew/lib/libtesseract.5.dylib",
];

/// Declares functions of the library, and how all of them are found.
macro_rules! functions {
    ($($field:ident = $symbol:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions that are used, as `capi.h` of Tesseract 5.2 and later declares them.
        pub(crate) struct Functions {
            $(pub $field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            /// What the library says of itself.
            pub version: String,
        }

        #[allow(unsafe_code, reason = "calls of a library in C")]
        impl Functions {
            fn of(library: &Library) -> Result<Self, libloading::Error> {
                // SAFETY: it is declared as this in every version that has it.
                let version = unsafe {
                    library.get::<unsafe extern "C" fn() -> *const c_char>("TessVersion")
                }?;
                // SAFETY: it takes nothing, and gives a text of the library's own.
                let version = unsafe { version() };
                // SAFETY: that text is constant, and ends with a zero byte.
                let version = unsafe { CStr::from_ptr(version) };
                Ok(Self {
                    $(
                        // SAFETY: `capi.h` declares it with this type, and the library is never closed.
                        $field: *unsafe { library.get($symbol) }?,
                    )*
                    version: version.to_string_lossy().into_owned(),
                })
            }
        }
    };
}

functions! {
    create = "TessBaseAPICreate": fn() -> *mut c_void;
    delete = "TessBaseAPIDelete": fn(*mut c_void);
    set_variable = "TessBaseAPISetVariable": fn(*mut c_void, *const c_char, *const c_char) -> c_int;
    init_from_directory = "TessBaseAPIInit2":
        fn(*mut c_void, *const c_char, *const c_char, c_int) -> c_int;
    init_from_bytes = "TessBaseAPIInit5": fn(
        *mut c_void, *const c_char, c_int, *const c_char, c_int, *mut *mut c_char, c_int,
        *mut *mut c_char, *mut *mut c_char, usize, c_int
    ) -> c_int;
    set_page_mode = "TessBaseAPISetPageSegMode": fn(*mut c_void, c_int);
    set_image = "TessBaseAPISetImage":
        fn(*mut c_void, *const c_uchar, c_int, c_int, c_int, c_int);
    set_resolution = "TessBaseAPISetSourceResolution": fn(*mut c_void, c_int);
    recognize = "TessBaseAPIRecognize": fn(*mut c_void, *mut c_void) -> c_int;
    hocr = "TessBaseAPIGetHOCRText": fn(*mut c_void, c_int) -> *mut c_char;
    delete_text = "TessDeleteText": fn(*const c_char);
}

/// Those of the first library that has them all. It is looked for once.
pub(crate) fn functions() -> Result<&'static Functions> {
    static FOUND: OnceLock<Result<Functions>> = OnceLock::new();
    FOUND
        .get_or_init(|| find(&NAMES))
        .as_ref()
        .map_err(Clone::clone)
}

pub(crate) fn find(names: &[&str]) -> Result<Functions> {
    let mut problems = Vec::new();
    for name in names {
        match open(name) {
            Ok(functions) => return Ok(functions),
            // What the system says stands behind the error.
            Err(error) => problems.push(match error.source() {
                Some(source) => source.to_string(),
                None => error.to_string(),
            }),
        }
    }
    Err(Error::Missing(problems.join("; ")))
}

#[allow(unsafe_code, reason = "calls of a library in C")]
fn open(name: &str) -> Result<Functions, libloading::Error> {
    // SAFETY: what runs when it is loaded is what ran before `main` in a program linked with it.
    let library = unsafe { Library::new(name) }?;
    let functions = Functions::of(&library)?;
    // Functions are only good for as long as it is open.
    std::mem::forget(library);
    Ok(functions)
}
