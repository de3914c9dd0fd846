//! A small bounded HTTP/1.1, client and server side, over blocking sockets.
//!
//! Each connection carries one request (`Connection: close`): the agent makes a handful of calls a minute, and a
//! connection that was left idle through a long write is worth nothing. Source: RFC 9112.

mod client;
mod message;
mod tls;
mod url;

pub use client::{Client, Request, Response};
pub use message::{Body, Head, HttpError, read_head};
pub use tls::{ServerIdentity, client_config};
pub use url::{Url, basic as basic_authorization};
