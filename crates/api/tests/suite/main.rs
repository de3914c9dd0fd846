//! The API in-process: a store in a temporary directory, a conductor that is not running, requests through the router.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod allocations;
mod auth;
mod bios;
mod boot_mode;
mod chassis;
mod cloud;
mod console;
mod deploy_templates;
mod drivers;
mod firmware;
mod history;
mod hostile;
mod indicators;
mod inspection_rules;
mod keystone;
mod metadata;
mod nodes;
mod object_store;
mod openapi;
mod passthru;
mod personas;
mod placement;
mod portgroups;
mod ports;
mod raid;
mod ramdisk;
mod ratchet;
mod runbooks;
mod shards;
mod site;
mod states;
mod stub_keystone;
mod verbs;
mod versions;
mod vifs;
mod vmedia;
mod volumes;
mod world;
