//! Products by cubek, for comparison with this project's own kernels on the same adapter: a worker that speaks
//! cutgpu's protocol. Only plain products of f32 matrices, either of which may be stored transposed.

mod product;

use cubecl::prelude::Runtime;
use cubecl::wgpu::{AutoGraphicsApi, WgpuDevice, WgpuRuntime};
use cutgpu::backends::{Device, Fault, Identity, Lane, LoadOptions, Loaded, Unsupported};
use cutgpu::measure::serve;
use cutgpu::program::Program;
use product::Product;

/// The client of whatever runs kernels.
type Client = cubecl::client::ComputeClient<WgpuRuntime>;

/// An adapter, as cubek sees it.
struct Adapter {
    client: Client,
}

impl Device for Adapter {
    fn identity(&self) -> Identity {
        Identity {
            name: "cubek".to_string(),
            version: "0.2.0, cubecl 0.10.0".to_string(),
            origin: "crate".to_string(),
            threads: 1,
            notes: [("strategy", "auto, which is chosen anew at each launch"), ("clock", "the host's")]
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .into(),
            ..Identity::default()
        }
    }

    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Box<dyn Loaded>, Fault> {
        Ok(Box::new(Product::new(&self.client, program, options)?))
    }
}

fn open(_: &str, _: &Lane) -> Result<Box<dyn Device>, Unsupported> {
    let device = WgpuDevice::default();
    cubecl::wgpu::init_setup::<AutoGraphicsApi>(&device, Default::default());
    Ok(Box::new(Adapter { client: WgpuRuntime::client(&device) }))
}

fn main() -> anyhow::Result<()> {
    serve::serve_with(open)?;
    Ok(())
}
