//! What is written down of what people do.

/// An act that is in the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audit {
    SetUp,
    LogIn,
    LogInFailed,
    LogOut,
    PasswordChanged,
    TotpAdded,
    TotpRemoved,
    SessionEnded,
    UserAdded,
    UserChanged,
    UserRemoved,
    TokenAdded,
    TokenRemoved,
    CameraAdded,
    CameraChanged,
    CameraRemoved,
    EventRemoved,
    EvidenceExported,
    ClipSeen,
    FaceEnrolled,
    FaceRemoved,
    PlateAdded,
    PlateRemoved,
    FileDownloaded,
    JobStarted,
    JobStopped,
    ConfigReloaded,
}

impl Audit {
    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Audit::SetUp => "setup",
            Audit::LogIn => "login",
            Audit::LogInFailed => "login-failed",
            Audit::LogOut => "logout",
            Audit::PasswordChanged => "password-change",
            Audit::TotpAdded => "totp-add",
            Audit::TotpRemoved => "totp-remove",
            Audit::SessionEnded => "session-end",
            Audit::UserAdded => "user-add",
            Audit::UserChanged => "user-change",
            Audit::UserRemoved => "user-remove",
            Audit::TokenAdded => "token-add",
            Audit::TokenRemoved => "token-remove",
            Audit::CameraAdded => "camera-add",
            Audit::CameraChanged => "camera-change",
            Audit::CameraRemoved => "camera-remove",
            Audit::EventRemoved => "event-remove",
            Audit::EvidenceExported => "evidence-export",
            Audit::ClipSeen => "clip-view",
            Audit::FaceEnrolled => "face-enrol",
            Audit::FaceRemoved => "face-remove",
            Audit::PlateAdded => "plate-add",
            Audit::PlateRemoved => "plate-remove",
            Audit::FileDownloaded => "file-download",
            Audit::JobStarted => "job-start",
            Audit::JobStopped => "job-stop",
            Audit::ConfigReloaded => "config-reload",
        }
    }
}
