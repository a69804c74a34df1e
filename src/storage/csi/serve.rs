//! gRPC on a unix socket: a few services side by side, and a socket that
//! replaces the one of the process before without a gap.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{self, Either};
use hyper::{Request, Response};
use tokio::net::UnixListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::{Code, Status};
use tower::Service;
use tower::util::BoxCloneSyncService;

use super::authority::Mended;

/// Largest request, in octets. CSI's own limits add up to far less.
pub const LARGEST: usize = 1 << 20;
/// Calls at one time on one connection.
const CALLS: usize = 128;
/// How long calls may take to end after a stop.
const GRACE: Duration = Duration::from_millis(1500);
/// Longest path that fits a socket's address, with its final zero (unix(7)).
const SOCKET_PATH: usize = 107;

type Answering = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Services by the name that stands in a call's path.
#[derive(Clone, Debug, Default)]
pub struct Services {
    named: Vec<(&'static str, Answering)>,
}

impl Services {
    /// Adds one.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.named
            .push((S::NAME, BoxCloneSyncService::new(service)));
        self
    }
}

impl Service<Request<Body>> for Services {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<
        <Answering as Service<Request<Body>>>::Future,
        future::Ready<Result<Response<Body>, Infallible>>,
    >;

    // Every service that tonic makes is ready at any time.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The path is /package.Service/Method.
        let called = request.uri().path().split('/').nth(1).unwrap_or_default();
        match self.named.iter_mut().find(|(name, _)| *name == called) {
            Some((_, service)) => Either::Left(service.call(request)),
            None => {
                let status = Status::new(Code::Unimplemented, "this socket does not serve that");
                Either::Right(future::ready(Ok(status.into_http())))
            }
        }
    }
}

/// A socket in the file system that goes with this value.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    owner: u32,
}

impl Socket {
    /// Listens at `path`, for root alone. It is made beside its place and
    /// moved there: whoever dials meets the old process or this one.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError {
            path: path.to_owned(),
            source,
        };
        Self::try_bind(path).map_err(failed)
    }

    fn try_bind(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        // A name with a dot in front is left alone by the kubelet's watch.
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        let beside = path.with_file_name(hidden);
        if beside.as_os_str().len() > SOCKET_PATH {
            return Err(io::Error::new(
                io::ErrorKind::InvalidFilename,
                format!("a socket's path may have {} octets", SOCKET_PATH - 1),
            ));
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = StdListener::bind(&beside)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        fs::rename(&beside, path)?;
        let made = fs::symlink_metadata(path)?;
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            path: path.to_owned(),
            inode: made.ino(),
            owner: made.uid(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The user that this process is.
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// Waits for the next to dial.
    pub async fn accept(&self) -> io::Result<tokio::net::UnixStream> {
        Ok(self.listener.accept().await?.0)
    }

    /// Serves until `stop`, and then removes the socket, unless another
    /// process has put its own there.
    pub async fn serve(
        self,
        services: Services,
        stop: CancellationToken,
    ) -> Result<(), tonic::transport::Error> {
        let (path, inode) = (self.path.clone(), self.inode);
        let serving = Server::builder()
            .concurrency_limit_per_connection(CALLS)
            .max_concurrent_streams(u32::try_from(CALLS).ok())
            .serve_with_incoming_shutdown(
                services,
                UnixListenerStream::new(self.listener).map(|dialled| dialled.map(Mended::from)),
                stop.clone().cancelled_owned(),
            );
        let served = tokio::select! {
            served = serving => served,
            // A client that keeps its connection must not keep this process.
            () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
        };
        if fs::symlink_metadata(&path).is_ok_and(|there| there.ino() == inode) {
            let _ = fs::remove_file(&path);
        }
        served
    }
}

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {}: {source}; is its directory there and writable?", path.display())]
pub struct SocketError {
    /// Where it should be.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}
