//! Every kernel in WGSL, in every form that an adapter may get, is valid and is translated for Vulkan, Metal and
//! Direct3D 12: what cannot run on this machine at least compiles.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod conformance_programs;

use conformance_programs::programs;
use cutgpu::backends::wgpu::{Shader, shaders};
use cutgpu::backends::{Lane, Packing};
use cutgpu::tensor::DType;
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage, proc::BoundsCheckPolicies};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

#[test]
fn every_kernel_translates_for_every_interface() {
    let programs = programs();
    let of = |program: &cutgpu::program::Program| -> Vec<Shader> {
        program.steps.iter().flat_map(|step| shaders(step, program)).collect()
    };
    let all: BTreeSet<Shader> = programs.iter().flat_map(|case| of(&case.program)).collect();
    let start = Instant::now();
    let failures: Vec<String> = all.iter().filter_map(|shader| translated(shader).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(all.len() > 40, "{} shaders", all.len());
    println!("shaders translated: {}", all.len());
    println!("shaders translated, seconds: {:.2}", start.elapsed().as_secs_f64());
}

/// What `cpu/native` answers and wgpu does not, but for types that WGSL does not have: bf16 and 8-bit floating point.
#[test]
fn wgpu_has_every_op_that_a_processor_has() {
    let [native, wgpu] = ["cpu/native", "wgpu"].map(|name| cutgpu::backends::family_of(name).unwrap());
    let lane = Lane { threads: 1, packing: Packing::Plain };
    let mut holes: BTreeSet<String> = BTreeSet::new();
    let mut reasoned = BTreeSet::new();
    for program in programs().iter().map(|case| &case.program) {
        for step in program.steps.iter().filter(|step| native.supports(&lane, step, program).is_ok()) {
            let Err(reason) = wgpu.supports(&lane, step, program) else { continue };
            let specs = step.args.iter().chain(&step.outs).map(|&id| &program.values[id].spec);
            let is_narrow = specs.clone().any(|spec| matches!(spec.dtype, DType::Bf16 | DType::F8e4m3));
            let list = if is_narrow { &mut reasoned } else { &mut holes };
            list.insert(format!("{}: {}", step.op.operation().name(), reason.0));
        }
    }
    println!("holes: {}", holes.len());
    println!("left out for want of a type: {}", reasoned.len());
    assert!(holes.is_empty(), "{holes:#?}");
}

#[test]
fn a_broken_kernel_is_told_with_its_place() {
    let shader = |text: &str| Shader { text: text.to_string(), name: "broken".to_string(), entry: "broken" };
    let told =
        translated(&shader("@compute @workgroup_size(1) fn broken() { nothing[0] = 1; }")).unwrap_err();
    assert!(told.contains("nothing") && told.contains("wgsl:1"), "{told}");
    let told = translated(&shader("@compute @workgroup_size(1) fn other() {}")).unwrap_err();
    assert!(told.contains("no entry point"), "{told}");
}

/// Parses, validates and writes a kernel for every interface; else says where it failed.
fn translated(shader: &Shader) -> Result<(), String> {
    // A writer may panic on what it was not made for; that is a failure of this kernel, not of the test.
    let outcome = catch_unwind(AssertUnwindSafe(|| translate(shader)));
    let outcome = outcome.unwrap_or_else(|_| Err("a writer of naga panicked".to_string()));
    outcome.map_err(|why| format!("{}: {why}\n{}", shader.name, numbered(&shader.text)))
}

fn numbered(text: &str) -> String {
    let lines = text.lines().enumerate();
    lines.map(|(number, line)| format!("{:4} {line}\n", number + 1)).collect()
}

fn translate(shader: &Shader) -> Result<(), String> {
    let capabilities = Capabilities::all();
    let mut options = naga::front::wgsl::Options::new();
    options.capabilities = capabilities;
    let mut frontend = naga::front::wgsl::Frontend::new_with_options(options);
    let module = frontend.parse(&shader.text).map_err(|error| error.emit_to_string(&shader.text))?;
    let is_entry =
        |entry: &naga::EntryPoint| entry.name == shader.entry && entry.stage == ShaderStage::Compute;
    if !module.entry_points.iter().any(is_entry) {
        return Err(format!("it has no entry point {}", shader.entry));
    }
    let validated = Validator::new(ValidationFlags::all(), capabilities).validate(&module);
    let info = validated.map_err(|error| error.emit_to_string(&shader.text))?;
    to_spirv(&module, &info, shader).map_err(|error| format!("SPIR-V: {error}"))?;
    // Only Vulkan has these.
    if !shader.text.contains("wgpu_cooperative_matrix") {
        to_msl(&module, &info).map_err(|error| format!("MSL: {error}"))?;
        to_hlsl(&module, &info).map_err(|error| format!("HLSL: {error}"))?;
    }
    Ok(())
}

fn to_spirv(module: &Module, info: &ModuleInfo, shader: &Shader) -> Result<(), String> {
    let options = spv::Options { lang_version: (1, 6), ..spv::Options::default() };
    let pipeline =
        spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: shader.entry.to_string() };
    let words = spv::write_vec(module, info, &options, Some(&pipeline)).map_err(|error| error.to_string())?;
    if words.len() > 5 { Ok(()) } else { Err("nothing was written".to_string()) }
}

fn to_msl(module: &Module, info: &ModuleInfo) -> Result<(), String> {
    let options = msl::Options {
        lang_version: (3, 1),
        fake_missing_bindings: true,
        bounds_check_policies: BoundsCheckPolicies::default(),
        ..msl::Options::default()
    };
    let written = msl::write_string(module, info, &options, &msl::PipelineOptions::default());
    let (_, translation) = written.map_err(|error| error.to_string())?;
    translation
        .entry_point_names
        .into_iter()
        .try_for_each(|name| name.map(drop).map_err(|error| error.to_string()))
}

fn to_hlsl(module: &Module, info: &ModuleInfo) -> Result<(), String> {
    let options = hlsl::Options {
        shader_model: hlsl::ShaderModel::V6_7,
        fake_missing_bindings: true,
        special_constants_binding: Some(hlsl::BindTarget { space: 9, ..hlsl::BindTarget::default() }),
        ..hlsl::Options::default()
    };
    let mut text = String::new();
    let pipeline = hlsl::PipelineOptions::default();
    let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
    let written = writer.write(module, info, None).map_err(|error| error.to_string())?;
    let names = written.entry_point_names.into_iter();
    names.into_iter().try_for_each(|name| name.map(drop).map_err(|error| error.to_string()))
}
