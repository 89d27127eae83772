//! GStreamer's own RTSP server.

use gstreamer as gst;
use gstreamer::glib;
use gstreamer_rtsp::RTSPAuthMethod;
use gstreamer_rtsp_server as server;
use gstreamer_rtsp_server::gio;
use gstreamer_rtsp_server::prelude::*;

use crate::certificate::Certificate;

pub const H264: &str = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! \
                        rtph264pay name=pay0 config-interval=-1";
pub const H265: &str = "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! \
                        rtph265pay name=pay0 config-interval=-1";
pub const JPEG: &str = "jpegenc ! rtpjpegpay name=pay0";
pub const VP8: &str = "vp8enc deadline=1 ! rtpvp8pay name=pay0";

pub const WIDTH: u32 = 320;
pub const HEIGHT: u32 = 240;

/// Who may look.
pub enum Login {
    Basic,
    Digest,
}

pub const USER: &str = "viewer";
pub const PASSWORD: &str = "p/ss w@rd";

/// What the server is to be.
#[derive(Default)]
pub struct Server {
    pub login: Option<Login>,
    pub certificate: Option<Certificate>,
    /// Whether it refuses to send inside the RTSP connection.
    pub udp_only: bool,
}

/// It runs until it is dropped.
pub struct Running {
    port: i32,
    pub certificate: Option<Certificate>,
    context: glib::MainLoop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Starts it, with this encoder.
    pub fn start(self, encoder: &str) -> Running {
        gst::init().expect("GStreamer is there");
        let context = glib::MainContext::new();
        let server = server::RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service("0");
        let factory = server::RTSPMediaFactory::new();
        factory.set_launch(&format!(
            "( videotestsrc is-live=true pattern=ball ! \
             video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate=15/1 ! {encoder} )"
        ));
        factory.set_shared(true);
        if self.udp_only {
            factory.set_protocols(gstreamer_rtsp::RTSPLowerTrans::UDP);
        }
        server.set_auth(self.auth(&factory).as_ref());
        let mounts = server.mount_points().expect("there are some");
        mounts.add_factory("/stream", factory);
        let _attached = server.attach(Some(&context)).expect("there is a port");
        let context = glib::MainLoop::new(Some(&context), false);
        let inside = context.clone();
        let thread = std::thread::spawn(move || inside.run());
        Running {
            port: server.bound_port(),
            certificate: self.certificate,
            context,
            thread: Some(thread),
        }
    }

    fn auth(&self, factory: &server::RTSPMediaFactory) -> Option<server::RTSPAuth> {
        if self.login.is_none() && self.certificate.is_none() {
            return None;
        }
        let auth = server::RTSPAuth::new();
        let mut token = server::RTSPToken::builder()
            .field("media.factory.role", "viewer")
            .build();
        match self.login {
            None => auth.set_default_token(Some(&mut token)),
            Some(Login::Basic) => {
                auth.set_supported_methods(RTSPAuthMethod::Basic);
                let basic = server::RTSPAuth::make_basic(USER, PASSWORD);
                auth.add_basic(&basic, &token);
            }
            Some(Login::Digest) => {
                auth.set_supported_methods(RTSPAuthMethod::Digest);
                auth.add_digest(USER, PASSWORD, &token);
            }
        }
        if let Some(certificate) = &self.certificate {
            let certificate = gio::TlsCertificate::from_pem(&certificate.pem);
            auth.set_tls_certificate(Some(&certificate.expect("it is one")));
        }
        let role = gst::Structure::builder("viewer")
            .field("media.factory.access", true)
            .field("media.factory.construct", true)
            .build();
        factory.add_role_from_structure(&role);
        Some(auth)
    }
}

impl Running {
    /// Its address, with something before the host.
    pub fn url(&self, before: &str) -> String {
        let scheme = match self.certificate {
            Some(_) => "rtsps",
            None => "rtsp",
        };
        format!("{scheme}://{before}127.0.0.1:{}/stream", self.port)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.context.quit();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
