//! What a connection is read from and written to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::limits::Held;

/// What is held for as long as a connection is open: its place among those that there may be, and
/// the word that somebody is still served.
pub(crate) type Open = (Held, TaskTrackerToken);

/// A stream that counts as a connection, and is waited for at the end, for as long as it is open:
/// HTTP gives it away when it becomes a WebSocket.
///
/// It closes in two steps (RFC 9112, section 9.6): whoever is answered before all of a request came
/// would otherwise never read the answer, because a connection that is closed with bytes unread is
/// reset. So after the last byte went out, what still comes is thrown away until the other end
/// closes, or for as long as a farewell may take.
pub(crate) struct Counted<S> {
    stream: S,
    _open: Open,
    farewell: Duration,
    closing: Option<Pin<Box<Sleep>>>,
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S, open: Open, farewell: Duration) -> Self {
        Self {
            stream,
            _open: open,
            farewell,
            closing: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            this.closing = Some(Box::pin(tokio::time::sleep(this.farewell)));
        }
        let mut scratch = [0; 16 << 10];
        loop {
            let long = this.closing.as_mut();
            if long.is_none_or(|long| long.as_mut().poll(context).is_ready()) {
                return Poll::Ready(Ok(()));
            }
            let mut unread = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut this.stream).poll_read(context, &mut unread));
            if read.is_err() || unread.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
