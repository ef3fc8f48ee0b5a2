// Reads a HandArray in CDR, as it travels, from the standard input and tells it: what a C++ subscriber sees.

#include <iostream>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "fastcdr/Cdr.h"
#include "fastcdr/FastBuffer.h"
#include "fastcdr/config.h"
#include "fastcdr/exceptions/Exception.h"
#include "prehend_ros/msg/hand_array.hpp"
#include "rosidl_runtime_cpp/message_type_support_decl.hpp"
#include "rosidl_typesupport_fastrtps_cpp/message_type_support.h"
#include "rosidl_typesupport_fastrtps_cpp/message_type_support_decl.hpp"

using prehend_ros::msg::HandArray;

namespace
{
HandArray read(std::vector<char> & bytes)
{
  eprosima::fastcdr::FastBuffer buffer(bytes.data(), bytes.size());
#if FASTCDR_VERSION_MAJOR >= 2
  eprosima::fastcdr::Cdr cdr(buffer);
#else
  eprosima::fastcdr::Cdr cdr(
    buffer, eprosima::fastcdr::Cdr::DEFAULT_ENDIAN, eprosima::fastcdr::Cdr::DDS_CDR);
#endif
  cdr.read_encapsulation();
  const auto * support =
    rosidl_typesupport_fastrtps_cpp::get_message_type_support_handle<HandArray>();
  const auto * callbacks = static_cast<const message_type_support_callbacks_t *>(support->data);
  HandArray message;
  bool whole = false;
  try {
    whole = callbacks->cdr_deserialize(cdr, &message);
  } catch (const eprosima::fastcdr::exception::Exception &) {
  }
  if (!whole) {
    throw std::runtime_error("not a HandArray");
  }
  return message;
}
}  // namespace

int main()
{
  std::vector<char> bytes(std::istreambuf_iterator<char>(std::cin), {});
  try {
    const HandArray message = read(bytes);
    std::cout << message.header.frame_id << " " << message.hands.size() << "\n";
    for (const auto & hand : message.hands) {
      const auto & wrist = hand.wrist.position;
      std::cout << hand.track_id << " " << hand.vertices_m.size() << " " << wrist.x << " " << wrist.y
                << " " << wrist.z << "\n";
    }
  } catch (const std::exception & error) {
    std::cerr << "reader: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
