use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::settings::{SettingsError, TlsFiles};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// TLS with the certificates of files, which are read again when they change, and on SIGHUP.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    files: TlsFiles,
    config: Arc<ArcSwap<ServerConfig>>,
}

impl Tls {
    pub(crate) fn new(files: &TlsFiles) -> Result<Self, SettingsError> {
        let config = Arc::new(ArcSwap::from_pointee(read(files)?));
        Ok(Self { files: files.clone(), config })
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.config.load_full()).accept(stream).await
    }

    /// Reads the files again whenever they changed or the process is told to; as long as they cannot be read,
    /// those before count.
    pub(crate) fn reload_when_told(&self, mut stopping: watch::Receiver<bool>) {
        let tls = self.clone();
        tokio::spawn(async move {
            let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
            let mut seen = tls.changed();
            loop {
                let told = tokio::select! {
                    _ = stopping.wait_for(|stop| *stop) => return,
                    _ = hangup.recv() => true,
                    () = tokio::time::sleep(LOOK_EVERY) => false,
                };
                let now = tls.changed();
                if !told && now == seen {
                    continue;
                }
                match read(&tls.files) {
                    Ok(config) => {
                        tls.config.store(Arc::new(config));
                        seen = now;
                        tracing::info!("certificates were read again");
                    }
                    Err(error) => tracing::error!(%error, "certificates stay as they were"),
                }
            }
        });
    }

    /// When the files were last written.
    fn changed(&self) -> [Option<SystemTime>; 2] {
        let time = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
        [time(&self.files.cert), time(&self.files.key)]
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, SettingsError> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        SettingsError(format!("{}: {error}", path.display()))
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .map_err(|error| failed(&files.cert, &error));
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| failed(&files.key, &error))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&files.cert, &error))?
        .with_no_client_auth()
        .with_single_cert(certificates?, key);
    let mut config = config.map_err(|error| failed(&files.cert, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
