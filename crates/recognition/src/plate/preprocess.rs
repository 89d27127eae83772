//! What is done to a plate before it is read.
//!
/// S
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PreprocessSettings {}
/// P
pub struct Preprocessor {}
