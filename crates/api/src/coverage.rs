//! What somebody wants to know of the coverage of a source.

/// A source and a time, in the words that `vxscope coverage` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageSearch {
    /// Address, name or interface.
    pub source: String,
    /// A day ago if absent.
    pub from: Option<String>,
    /// Now if absent.
    pub to: Option<String>,
}
