//! Connections are kept alive: tokens renewed before they end, idle grants before they die of age, keys tested that nobody
//! used.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`when`] | when a connection has something due: pure rules over its clear part and its manifest |
//! | [`index`] | the due-index: what is due next is found without looking at every connection |
//! | [`tick`] | what is due is done |
//!
//! A connection in use has its token renewed a little before a caller would have to wait for it, spread so that those that
//! were made together are not renewed together. One that nobody uses is left alone until its grant could grow too old or
//! its test is due. Failures push the next attempt away (`token::refresh`); nothing here retries by itself.

mod index;
mod tick;
mod when;

pub(crate) use when::spread;
