//! The loop over a simulated API, with a fleet that obeys its mirrors.

mod fleet;
mod life;
