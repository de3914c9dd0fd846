//! A connection whose other end must take what it is sent.
//!
//! An answer stands in memory until the client has taken it. One that asks for listings and reads nothing would keep them there for
//! as long as it likes; so a connection is given up that for [`WINDOW`] could not be written to, or hardly.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use telemetry::table;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A client that is behind must take [`LEAST`] bytes in this time.
const WINDOW: Duration = Duration::from_secs(30);
/// The least that a client takes in a [`WINDOW`]: what a modem of 1998 did in ten seconds.
const LEAST: usize = 32 << 10;

/// A stream that ends with [`io::ErrorKind::TimedOut`] where the other end takes next to nothing.
pub struct Patient<S> {
    stream: S,
    listener: &'static str,
    /// Ends the window that is open, while there is something that could not be written.
    window: Option<Pin<Box<Sleep>>>,
    taken: usize,
}

impl<S> Patient<S> {
    /// Watches a stream of the listener of this name.
    pub fn new(stream: S, listener: &'static str) -> Self {
        Self { stream, listener, window: None, taken: 0 }
    }

    /// Nothing could be written now.
    fn waits(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let window = self.window.get_or_insert_with(|| {
                self.taken = 0;
                Box::pin(tokio::time::sleep(WINDOW))
            });
            ready!(window.as_mut().poll(context));
            if self.taken < LEAST {
                table::CONNECTIONS_REFUSED.count([self.listener, "slow"]);
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client takes no answers"));
            }
            self.window = None;
        }
    }

    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Pending => self.waits(context).map(Err),
            Poll::Ready(Ok(bytes)) => {
                self.taken = self.taken.saturating_add(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => self.waits(context).map(Err),
            done => {
                // All that there was is taken.
                self.window = None;
                done
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_loses_the_connection() {
        let (ours, theirs) = tokio::io::duplex(1024);
        let mut patient = Patient::new(ours, "api");
        let error = patient.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_hardly_anything_loses_it_too() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let mut patient = Patient::new(ours, "api");
        let reading = tokio::spawn(async move {
            let mut byte = [0];
            while theirs.read(&mut byte).await.is_ok_and(|read| read > 0) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let began = tokio::time::Instant::now();
        let error = patient.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() < WINDOW * 2);
        drop(patient);
        reading.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_but_goes_on_gets_all_of_it() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let mut patient = Patient::new(ours, "api");
        let reading = tokio::spawn(async move {
            let (mut buffer, mut whole) = ([0; 1024], 0);
            loop {
                match theirs.read(&mut buffer).await.unwrap() {
                    0 => return whole,
                    read => whole += read,
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let began = tokio::time::Instant::now();
        patient.write_all(&[0; 300_000]).await.unwrap();
        patient.flush().await.unwrap();
        assert!(began.elapsed() > WINDOW * 3, "it took its time");
        // Between two answers nobody is behind, however long it lasts.
        tokio::time::sleep(WINDOW * 10).await;
        patient.write_all(&[0; 100]).await.unwrap();
        drop(patient);
        assert_eq!(reading.await.unwrap(), 300_100);
    }
}
