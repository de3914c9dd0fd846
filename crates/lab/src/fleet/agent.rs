//! The agents of all machines behind one listener: the address that the conductor calls tells which machine it means.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_util::sync::CancellationToken;

use super::machine::{Machine, lock};
use super::plan::Character;
use crate::error::{Error, Result};

/// Longest body of a command: a config drive goes with an image.
const MAX_BODY: usize = 96 << 20;

/// The agents' listener.
pub(super) struct Agents {
    port: u16,
    certificate: String,
    machines: Mutex<HashMap<Ipv4Addr, Weak<Machine>>>,
}

/// The commands of one boot of one machine.
pub(super) struct Commands {
    token: String,
    list: Mutex<Vec<Value>>,
    /// Rung when a command has ended, so that a heartbeat follows at once.
    bell: Arc<Notify>,
}

impl Commands {
    pub fn new(token: String, bell: Arc<Notify>) -> Self {
        Self { token, list: Mutex::default(), bell }
    }

    /// Is another command under way?
    fn is_busy(&self) -> bool {
        lock(&self.list).iter().any(|command| command["command_status"] == "RUNNING")
    }

    fn finish(&self, index: usize, outcome: Result<Value, String>) {
        if let Some(command) = lock(&self.list).get_mut(index) {
            match outcome {
                Ok(result) => {
                    command["command_status"] = "SUCCEEDED".into();
                    command["command_result"] = result;
                }
                Err(details) => {
                    command["command_status"] = "FAILED".into();
                    command["command_error"] = json!({"type": "CommandExecutionError", "code": 500, "message": "failed", "details": details});
                }
            }
        }
        self.bell.notify_one();
    }
}

impl Agents {
    /// Listens on every loopback address, with a certificate of its own.
    pub async fn start(stop: CancellationToken) -> Result<Arc<Self>> {
        let invalid =
            |error: String| Error::Invalid(format!("the agents' certificate can't be made: {error}"));
        let made = rcgen::generate_simple_self_signed(vec!["agent.fleet.invalid".to_owned()])
            .map_err(|error| invalid(error.to_string()))?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)
            })
            .map_err(|error| invalid(error.to_string()))?;
        let tls = TlsAcceptor::from(Arc::new(config));
        let failed = || Error::io("listening for agents' calls on", "127.0.0.0/8");
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.map_err(failed())?;
        let port = listener.local_addr().map_err(failed())?.port();
        let agents = Arc::new(Self { port, certificate: made.cert.pem(), machines: Mutex::default() });
        tokio::spawn(serve(agents.clone(), listener, tls, stop));
        Ok(agents)
    }

    /// A machine is called at its address from now on.
    pub fn add(&self, machine: &Arc<Machine>) {
        lock(&self.machines).insert(super::address(machine.number), Arc::downgrade(machine));
    }

    /// The machine at an address.
    pub fn machine(&self, address: Ipv4Addr) -> Option<Weak<Machine>> {
        lock(&self.machines).get(&address).cloned()
    }

    /// Where a machine's agent is called.
    pub fn url(&self, address: Ipv4Addr) -> String {
        format!("https://{address}:{}", self.port)
    }

    /// The certificate, PEM, which heartbeats announce.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }
}

async fn serve(agents: Arc<Agents>, listener: TcpListener, tls: TlsAcceptor, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(agents.clone(), stream, tls.clone(), stop.clone()));
            }
            // What was refused comes again; a full table of files empties as calls end.
            Err(error) => {
                tracing::warn!(%error, "a call to an agent was not taken");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn connection(agents: Arc<Agents>, stream: TcpStream, tls: TlsAcceptor, stop: CancellationToken) {
    let Ok(IpAddr::V4(called)) = stream.local_addr().map(|address| address.ip()) else { return };
    let machine = agents.machine(called);
    // Nothing runs there: as a machine that is off, it takes no call.
    let Some(machine) = machine.as_ref().and_then(Weak::upgrade).filter(|m| m.commands().is_some()) else {
        return;
    };
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(move |request| {
        let machine = machine.clone();
        async move { Ok::<_, Infallible>(answer(&machine, request).await) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        outcome = connection => if let Err(error) = outcome {
            tracing::debug!(%called, %error, "a call to an agent ended early");
        }
    }
}

async fn answer(machine: &Arc<Machine>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let fault = |status, text: &str| reply(status, &json!({"faultcode": "Client", "faultstring": text}));
    let Some(commands) = machine.commands() else {
        return fault(StatusCode::SERVICE_UNAVAILABLE, "The ramdisk is ending.");
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let argument = |name: &str| {
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(own, _)| *own == name).map(|(_, v)| v)
    };
    if argument("agent_token") != Some(commands.token.as_str()) {
        return fault(StatusCode::UNAUTHORIZED, "Token invalid.");
    }
    if request.uri().path().trim_end_matches('/') != "/v1/commands" {
        return fault(StatusCode::NOT_FOUND, "There is nothing here.");
    }
    if request.method() == Method::GET {
        return reply(StatusCode::OK, &json!({"commands": *lock(&commands.list)}));
    }
    let waits = argument("wait") == Some("true");
    let body = match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return fault(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return fault(StatusCode::BAD_REQUEST, "The body is no JSON.");
    };
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    if commands.is_busy() {
        return fault(StatusCode::CONFLICT, "Agent is busy executing another command.");
    }
    let entry = json!({
        "id": uuid::Uuid::new_v4().to_string(),
        "command_name": name.rsplit('.').next(),
        "command_status": "RUNNING",
        "command_error": null,
        "command_result": null,
    });
    let index = {
        let mut list = lock(&commands.list);
        list.push(entry.clone());
        list.len() - 1
    };
    let work = carry_out(machine.clone(), commands.clone(), index, name, body["params"].clone());
    // It goes on to its end, whether or not whoever asked is still there to hear of it.
    let working = tokio::spawn(work);
    if !waits {
        return reply(StatusCode::OK, &entry);
    }
    if let Err(error) = working.await {
        return fault(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
    }
    let ended = lock(&commands.list).get(index).cloned().unwrap_or_default();
    reply(StatusCode::OK, &ended)
}

/// Does what a command asks for, as far as there is something to it, in the time that it takes.
async fn carry_out(
    machine: Arc<Machine>,
    commands: Arc<Commands>,
    index: usize,
    name: String,
    params: Value,
) {
    let outcome = match name.as_str() {
        "clean.get_clean_steps" => Ok(json!({
            "clean_steps": {"FleetHardwareManager": [
                {"step": "erase_devices_metadata", "priority": 99, "interface": "deploy", "abortable": true,
                 "reboot_requested": false},
            ]},
            "hardware_manager_version": {"FleetHardwareManager": "1"},
        })),
        "deploy.get_deploy_steps" => Ok(json!({"deploy_steps": {}, "hardware_manager_version": {}})),
        "service.get_service_steps" => Ok(json!({"service_steps": {}, "hardware_manager_version": {}})),
        "clean.execute_clean_step" => {
            tokio::time::sleep(machine.times.step).await;
            machine.note(|diary| {
                diary.erased += 1;
                diary.image = None;
            });
            Ok(json!({"clean_result": null, "clean_step": params["step"]}))
        }
        "standby.prepare_image" => write_image(&machine, &params).await,
        "standby.get_partition_uuids" => Ok(json!({"root uuid": "", "efi system partition uuid": ""})),
        "image.install_bootloader" | "standby.sync" | "log.collect_system_logs" => {
            tokio::time::sleep(machine.times.step).await;
            Ok(json!({"result": "done"}))
        }
        "standby.power_off" | "standby.run_image" => {
            machine.power_off();
            Ok(json!({"result": "done"}))
        }
        other => Err(format!("Unknown command: {other}")),
    };
    commands.finish(index, outcome);
}

async fn write_image(machine: &Arc<Machine>, params: &Value) -> Result<Value, String> {
    let image = params["image_info"]["urls"][0].as_str().ok_or("image_info names no URL")?.to_owned();
    let checksum = ["os_hash_value", "checksum"].iter().find_map(|key| params["image_info"][key].as_str());
    let checksum = checksum.map(str::to_owned);
    machine.note(|diary| diary.image = None);
    let half = machine.times.write / 2;
    tokio::time::sleep(half).await;
    let is_first = machine.diary().writes == 0;
    if machine.character == Character::DyingAgent && is_first {
        machine.note(|diary| diary.writes += 1);
        machine.die();
        return std::future::pending().await;
    }
    tokio::time::sleep(half).await;
    machine.note(|diary| {
        diary.writes += 1;
        diary.image = Some(image);
        diary.checksum = checksum;
    });
    Ok(json!({"result": "prepare_image: image written to device /dev/sim"}))
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}
