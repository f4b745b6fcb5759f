"""``python -m minirt_kernel -f CONNECTION_FILE``: what the kernelspec starts."""

from ipykernel.kernelapp import IPKernelApp

from minirt_kernel.kernel import MinirtKernel

IPKernelApp.launch_instance(kernel_class=MinirtKernel)
