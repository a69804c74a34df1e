//! The kubelet's side of the registration, played by the test.

use loods::storage::csi::registration::registration_client::RegistrationClient;
use loods::storage::csi::registration::{InfoRequest, RegistrationStatus};
use loods::storage::node::registration::REGISTERED;
use tonic::Code;

use crate::scene::{Scene, channel, text};

#[tokio::test]
async fn the_kubelet_is_told_where_csi_is_and_tells_whether_it_took_it() {
    let scene = Scene::new().await;
    let mut kubelet = RegistrationClient::new(channel(&scene.registration()).await);
    let info = kubelet
        .get_info(InfoRequest {})
        .await
        .expect("told")
        .into_inner();
    assert_eq!(
        (&*info.r#type, &*info.name),
        ("CSIPlugin", "gluster.loods.io")
    );
    assert_eq!(info.endpoint, text(&scene.settings.socket));
    assert_eq!(info.supported_versions, ["1.0.0"]);
    assert_eq!(scene.readiness.check(), Err(vec![REGISTERED]));

    for taken in [true, false] {
        let status = RegistrationStatus {
            plugin_registered: taken,
            error: "no".into(),
        };
        kubelet
            .notify_registration_status(status)
            .await
            .expect("heard");
        assert_eq!(scene.readiness.check().is_ok(), taken);
    }
}

#[tokio::test]
async fn a_socket_serves_its_own_services_alone() {
    let scene = Scene::new().await;
    let mut lost = RegistrationClient::new(channel(&scene.settings.socket).await);
    let status = lost.get_info(InfoRequest {}).await.expect_err("not here");
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn nobody_but_the_owner_reaches_a_socket() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new().await;
    for path in [scene.registration(), scene.settings.socket.clone()] {
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}
