//! Isocenter, an open biomedical imaging archive in one program.
//!
//! This package wires the others together and owns everything that speaks HTTP. A person who knows DICOM finds STOW-RS
//! in [`dicomweb`], the pages in [`portal`], who may do what in [`auth`], and the commands in [`cli`]; the way an
//! instance takes into the archive is `isocenter-ingest`, and DIMSE is `isocenter-gateway`.

pub mod archive;
pub mod audit;
pub mod auth;
pub mod behind;
pub mod cli;
pub mod config;
pub mod cors;
pub mod cpu;
pub mod demo;
pub mod dicomweb;
pub mod dimse;
pub mod disk;
pub mod health;
pub mod http_error;
pub mod jobs;
pub mod links;
pub mod metrics;
pub mod once;
pub mod portal;
pub mod present;
pub mod reading;
pub mod serve;
pub mod similar;
pub mod tls;
#[cfg(test)]
mod world;
