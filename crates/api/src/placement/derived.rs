//! What would be written elsewhere is derived here: the refusals say what to change instead.

use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Post, Put};
use axum::http::{StatusCode, header};

pub(super) const ROUTES: &[Route] = &[
    refusal(Route::new(Post, "/resource_providers", Access::Operator, handler!(provider))),
    refusal(Route::new(Put, "/resource_providers/{provider}", Access::Operator, handler!(provider))),
    refusal(Route::new(Delete, "/resource_providers/{provider}", Access::Operator, handler!(provider))),
    refusal(Route::new(
        Put,
        "/resource_providers/{provider}/inventories",
        Access::Operator,
        handler!(inventory),
    )),
    refusal(Route::new(
        Post,
        "/resource_providers/{provider}/inventories",
        Access::Operator,
        handler!(inventory),
    )),
    refusal(Route::new(
        Delete,
        "/resource_providers/{provider}/inventories",
        Access::Operator,
        handler!(inventory),
    )),
    refusal(Route::new(
        Put,
        "/resource_providers/{provider}/inventories/{class}",
        Access::Operator,
        handler!(inventory),
    )),
    refusal(Route::new(
        Delete,
        "/resource_providers/{provider}/inventories/{class}",
        Access::Operator,
        handler!(inventory),
    )),
    refusal(Route::new(Put, "/resource_providers/{provider}/traits", Access::Operator, handler!(traits))),
    refusal(Route::new(Delete, "/resource_providers/{provider}/traits", Access::Operator, handler!(traits))),
    refusal(Route::new(
        Put,
        "/resource_providers/{provider}/aggregates",
        Access::Operator,
        handler!(aggregates),
    )),
    refusal(Route::new(Put, "/traits/{trait}", Access::Operator, handler!(traits))),
    refusal(Route::new(Delete, "/traits/{trait}", Access::Operator, handler!(traits))),
    refusal(Route::new(Post, "/resource_classes", Access::Operator, handler!(class))),
    refusal(Route::new(Put, "/resource_classes/{class}", Access::Operator, handler!(class))),
    refusal(Route::new(Delete, "/resource_classes/{class}", Access::Operator, handler!(class))),
    refusal(Route::new(Post, "/allocations", Access::Operator, handler!(allocation))),
    refusal(Route::new(Put, "/allocations/{consumer}", Access::Operator, handler!(allocation))),
    refusal(Route::new(Delete, "/allocations/{consumer}", Access::Operator, handler!(allocation))),
    refusal(Route::new(Post, "/reshaper", Access::Operator, handler!(inventory))),
];

const fn refusal(route: Route) -> Route {
    route.success(StatusCode::METHOD_NOT_ALLOWED).says("Refuses: this is derived from nodes and servers.")
}

fn refuse(what: &str, instead: &str) -> Result<Reply, CloudError> {
    Err(CloudError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{what} and can't be written here: {instead}."),
    )
    .with(header::ALLOW, "GET"))
}

async fn provider(_call: Call) -> Result<Reply, CloudError> {
    refuse("Resource providers are the nodes", "create or delete a node of the bare-metal service instead")
}

async fn inventory(_call: Call) -> Result<Reply, CloudError> {
    refuse(
        "Inventories follow from the nodes",
        "set the node's resource_class, maintenance or provision state instead",
    )
}

async fn traits(_call: Call) -> Result<Reply, CloudError> {
    refuse(
        "Traits are those of the nodes",
        "add or remove traits of a node of the bare-metal service instead",
    )
}

async fn aggregates(_call: Call) -> Result<Reply, CloudError> {
    refuse("Nodes are in no aggregates of this service", "use the compute service's host aggregates instead")
}

async fn class(_call: Call) -> Result<Reply, CloudError> {
    refuse("Resource classes are those of the nodes", "set the resource_class of a node instead")
}

async fn allocation(_call: Call) -> Result<Reply, CloudError> {
    refuse("Allocations follow from the servers", "create or delete a server of the compute service instead")
}
