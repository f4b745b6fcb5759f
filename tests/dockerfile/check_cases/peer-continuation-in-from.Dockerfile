FROM \

  scratch
