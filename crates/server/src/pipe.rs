//! What is written by a thread becomes the body of an answer, without a file in between.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use tokio::sync::mpsc::{Sender, channel};

use crate::app::App;
use crate::error::{ApiError, Result};

/// So many pieces wait for the client.
const QUEUE: usize = 4;
const PIECE: usize = 128 << 10;

/// What the thread has to say.
enum Said {
    Piece(Bytes),
    Failed(ApiError),
}

struct Writer {
    out: Sender<Said>,
    buffer: Vec<u8>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        // Who does not want it any more ends the work.
        let sent = self.out.blocking_send(Said::Piece(piece));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Has something written, and gives it as a body as it comes.
///
/// # Errors
/// What fails before anything is written. After that the connection breaks, which is how a body
/// says that it is not whole.
pub(crate) async fn pipe(
    app: &Arc<App>,
    work: impl FnOnce(&App, &mut dyn Write) -> Result<()> + Send + 'static,
) -> Result<Body> {
    let (out, mut said) = channel(QUEUE);
    let failed = out.clone();
    let turn = app.transfer().await?;
    let app = app.clone();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut writer = Writer {
            out,
            buffer: Vec::with_capacity(PIECE),
        };
        let done = work(&app, &mut writer).and_then(|()| {
            let flushed = writer.flush();
            flushed.map_err(|_| ApiError::unavailable("nobody takes it"))
        });
        if let Err(error) = done {
            let _ = failed.blocking_send(Said::Failed(error));
        }
    });
    let first = match said.recv().await {
        Some(Said::Failed(error)) => return Err(error),
        Some(Said::Piece(piece)) => Some(piece),
        None => None,
    };
    let pieces = futures_util::stream::unfold((first, said), |(first, mut said)| async move {
        if let Some(piece) = first {
            return Some((Ok(piece), (None, said)));
        }
        match said.recv().await? {
            Said::Piece(piece) => Some((Ok(piece), (None, said))),
            Said::Failed(_) => Some((Err(io::Error::other("it is not whole")), (None, said))),
        }
    });
    Ok(Body::from_stream(pieces))
}
