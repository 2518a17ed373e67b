//! Logging in.

use trainyard_core::port::Handle;
use trainyard_http::{Request, Response, StatusCode, timeout};

use crate::fault::Fault;
use crate::host::Host;
use crate::map;
use crate::service::{MathFi, not_stored};
use crate::signing::Purpose;
use crate::wire::answers::LoggedIn;
use crate::wire::requests::Login;

impl<H: Handle + ?Sized, S: Host + ?Sized> MathFi<H, S> {
    /// A token for a name and its password. A wrong name and a wrong password are told alike.
    pub(crate) async fn log_in(&self, request: Request) -> Result<Response, Fault> {
        let peer = request.peer().map(|peer| peer.ip());
        let Login { username, password } = self.json(request).await?;
        self.edge.gate.enter(&username, peer).map_err(Fault::TooOften)?;
        let waited = timeout(self.edge.settings.limits().login_wait, self.edge.logins.take()).await;
        let seat = waited.ok_or(Fault::Later("Too many logins at once, try again"))?;
        self.work(move |edge| {
            let found = edge.host.log_in(&username, &password).map_err(|error| map::broken(&error))?;
            drop((seat, password));
            let user = found.ok_or(Fault::Unauthorized("Wrong username or password"))?;
            edge.gate.succeed(&username, peer);
            let life = edge.settings.limits().token_life;
            let until = edge.handle.now().after(life);
            let token = edge.sign(Purpose::Token, user.id.as_uuid(), user.stamp.0, until)?;
            let answer = LoggedIn {
                access_token: token,
                token_type: "Bearer",
                expires_in: life.as_secs(),
                username: &username,
            };
            Ok(not_stored(Response::json(StatusCode::OK, &answer)))
        })
        .await
    }
}
